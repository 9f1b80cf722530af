"""Learning to help: the loops behind `fewclicks assist train`. It may import what assist may."""
