"""How every agent fared in every tier of every world: the episodes on disk, figures with intervals, and the tables."""
