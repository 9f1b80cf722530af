"""Ways to turn clicks into a mask, behind one interface. It may import `assist.clicks` and what assist may."""
