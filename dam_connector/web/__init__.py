"""The web: the webhook receiver, the API, the review pages, the AR page."""
