//! Whole configurations in, pipelines and diagnostics out: each case is a text and a snapshot of what comes of it.

mod boxes;
mod checklist;
mod conditions;
mod corpus;
mod expressions;
mod graph;
mod jobs;
mod limits;
mod mistakes;
mod orbs;
mod parameters;
mod processed;
mod refusals;
mod selection;
mod shipped;
mod shown;
mod steps;
mod workflows;
