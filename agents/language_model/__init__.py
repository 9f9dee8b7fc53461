"""A small language model that plays: what it reads, what it computes, what ships. It needs only numpy."""
