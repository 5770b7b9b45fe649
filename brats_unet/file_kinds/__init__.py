"""What files must hold before anything is made of them."""
