"""What happens in the simulated lab, in the words of queueing: arrivals, queues, CPU, memory, boots, faults."""
