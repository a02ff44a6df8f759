"""What a vendor's source and its channel share: how its shop is asked, and by what our own media there are known."""
