//! The words of the fake task-agent.
