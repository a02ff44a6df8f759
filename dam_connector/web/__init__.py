"""The web application: webhook receiver, API, review pages and AR page."""
