"""Two roles talk until one concludes."""
