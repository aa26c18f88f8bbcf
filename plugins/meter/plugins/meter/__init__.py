"""What meter says of itself: polls, hops, queues, losses, faults, its own CPU time and memory."""
