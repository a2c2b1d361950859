//! The control plane over real HTTP, as the client speaks it.

#[cfg(test)]
mod access;
#[cfg(test)]
mod actors;
#[cfg(test)]
mod answerable;
#[cfg(test)]
mod api_v2;
#[cfg(test)]
mod approvals;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod build;
#[cfg(test)]
mod compile;
#[cfg(test)]
mod contexts;
#[cfg(test)]
mod continuation;
#[cfg(test)]
mod definitions;
#[cfg(test)]
mod driven;
#[cfg(test)]
mod forks;
mod former;
#[cfg(test)]
mod github_app;
#[cfg(test)]
mod graphql;
#[cfg(test)]
mod health;
#[cfg(test)]
mod house;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod insights;
#[cfg(test)]
mod leases;
#[cfg(test)]
mod logins;
#[cfg(test)]
mod named;
#[cfg(test)]
mod newer;
#[cfg(test)]
mod newer_output;
#[cfg(test)]
mod newer_runs;
#[cfg(test)]
mod openapi;
#[cfg(test)]
mod orbs;
#[cfg(test)]
mod outgoing;
#[cfg(test)]
mod page;
#[cfg(test)]
mod page_acts;
#[cfg(test)]
mod page_settings;
#[cfg(test)]
mod people;
#[cfg(test)]
mod pipelines;
#[cfg(test)]
mod policies;
#[cfg(test)]
mod provider;
#[cfg(test)]
mod queue;
#[cfg(test)]
mod registry;
#[cfg(test)]
mod releases;
#[cfg(test)]
mod reruns;
#[cfg(test)]
mod restarts;
#[cfg(test)]
mod schedules;
#[cfg(test)]
mod security;
#[cfg(test)]
mod serial;
#[cfg(test)]
mod sign_in;
#[cfg(test)]
mod ssh_keys;
#[cfg(test)]
mod strangers;
#[cfg(test)]
mod stream;
#[cfg(test)]
mod times;
#[cfg(test)]
mod transfers;
#[cfg(test)]
mod triggered;
#[cfg(test)]
mod webhooks;
