"""The lab as physics: open-loop users, CPU quotas, queues, memory, boots and releases."""
