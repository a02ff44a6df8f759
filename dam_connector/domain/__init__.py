"""The domain model: products, assets, versions, runs, issues and rules. It uses the standard library only."""
