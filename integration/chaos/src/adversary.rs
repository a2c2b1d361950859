//! Carries out a plan of faults against a house, each at its moment, and puts right what it did at the end.

use crate::{
    fault::{Fault, HostNumber},
    history::History,
    house::{House, Process},
    patience,
    proxy::Mode,
    schedule::Strike,
};
use rustix::process::Signal;
use std::{
    io, thread,
    time::{Duration, Instant},
};

/// How long a disk may be in use by somebody who was just killed.
const UNMOUNT: Duration = Duration::from_secs(10);

/// Between two of several kills in a row, so long nothing runs.
const DOWN: u64 = 50;

/// The adversary of one house.
#[derive(Debug)]
pub struct Adversary<'h> {
    house: &'h House,
    history: &'h History,
    began: Instant,
    /// What is to be put right, and when.
    pending: Vec<(u64, Remedy)>,
    clock: i64,
}

/// What ends a fault that lasts, or goes on with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remedy {
    Continue(i32),
    Open(HostNumber),
    KillAgent(HostNumber),
    Well(HostNumber),
    FreePlane,
    FreeHost(HostNumber),
    MendPlane,
    MendHost(HostNumber),
}

impl<'h> Adversary<'h> {
    /// Nothing is done yet.
    pub fn new(house: &'h House, history: &'h History) -> Self {
        Self { house, history, began: Instant::now(), pending: Vec::new(), clock: 0 }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Carries out the whole plan and puts everything right; how many panics were armed and never came.
    pub fn carry_out(mut self, plan: &[Strike]) -> io::Result<u64> {
        for strike in plan {
            self.wait_until(strike.at)?;
            let victim = match self.strike(&strike.fault) {
                Ok(victim) => victim,
                Err(error) => {
                    self.history.note(format!("a fault could not be done: {error}"));
                    continue;
                }
            };
            self.history.struck(strike, victim);
        }
        self.relent()
    }

    fn wait_until(&mut self, at: u64) -> io::Result<()> {
        loop {
            self.pending.sort_by_key(|(due, _)| *due);
            let next = self.pending.first().map_or(at, |(due, _)| at.min(*due));
            thread::sleep(Duration::from_millis(next.saturating_sub(self.now())));
            match self.pending.first().copied() {
                Some((due, remedy)) if due <= at => {
                    self.pending.remove(0);
                    self.put_right(remedy)?;
                }
                _ => return Ok(()),
            }
        }
    }

    /// Waits for the end of what lasts, and puts everything right.
    fn relent(mut self) -> io::Result<u64> {
        let end = self.pending.iter().map(|(due, _)| *due).max();
        self.wait_until(end.unwrap_or_default())?;
        let never_came = self.house.disarm()?;
        self.house.hosts.iter().for_each(|host| {
            host.proxy.disarm();
            host.proxy.set(Mode::Open);
        });
        self.house.set_clock(0)?;
        Ok(never_came)
    }

    fn later(&mut self, length: u64, remedy: Remedy) {
        self.pending.push((self.now() + length, remedy));
    }

    /// Does it; whom it struck, if anybody.
    fn strike(&mut self, fault: &Fault) -> io::Result<Option<String>> {
        let house = self.house;
        let mut victim = Some(fault.name().to_owned());
        match *fault {
            Fault::KillAgent { host, down } => house.hosts[host].agent.kill(down),
            Fault::KillAgentAgain { host } => {
                fault.deaths().iter().for_each(|(_, after)| self.later(*after, Remedy::KillAgent(host)));
            }
            Fault::Unwell { host, length } => {
                house.hosts[host].is_well(false)?;
                self.later(length, Remedy::Well(host));
            }
            Fault::KillPlane { down } => house.plane.kill(down),
            Fault::ReloadAgent { host } => {
                let process = house.hosts[host].agent.process();
                process.iter().for_each(|process| process.signal(Signal::HUP));
                victim = process.map(|process| process.0.to_string());
            }
            Fault::StopAgent { host, length } => {
                victim = self.stop(house.hosts[host].agent.process(), length)
            }
            Fault::StopPlane { length } => victim = self.stop(house.plane.process(), length),
            Fault::KillTaskAgent { host, pick } => {
                let Some((process, task)) = self.task_agent(host, pick) else { return Ok(None) };
                process.signal(Signal::KILL);
                return Ok(Some(task));
            }
            Fault::StopTaskAgent { host, pick, length } => {
                let Some((process, task)) = self.task_agent(host, pick) else { return Ok(None) };
                self.stop(Some(process), length);
                return Ok(Some(task));
            }
            Fault::Panic { host, ref point } => victim = house.arm(host, &point.0)?.then(|| point.0.clone()),
            Fault::Tamper { host, route, how } => house.hosts[host].proxy.arm(route, how),
            Fault::Cut { host, length } => self.close(host, Mode::Cut, length),
            Fault::Silence { host, length } => self.close(host, Mode::Silent, length),
            Fault::Clock { by } => {
                self.clock += by;
                house.set_clock(self.clock)?;
            }
            ref disk => self.strike_disk(disk)?,
        }
        Ok(victim)
    }

    /// What is to be put right is known before anything is done: half of a fault is one too.
    fn strike_disk(&mut self, fault: &Fault) -> io::Result<()> {
        let house = self.house;
        match *fault {
            Fault::FullPlane { length } => {
                self.later(length, Remedy::FreePlane);
                house.plane_disk.fill()
            }
            Fault::FullHost { host, length } => {
                self.later(length, Remedy::FreeHost(host));
                house.hosts[host].disk.fill()
            }
            Fault::ReadOnlyPlane { length } => {
                self.later(length, Remedy::MendPlane);
                house.plane_disk.fail()
            }
            Fault::ReadOnlyHost { host, length } => {
                self.later(length, Remedy::MendHost(host));
                house.hosts[host].disk.fail()
            }
            Fault::PowerCutPlane { down } => {
                self.later(down, Remedy::MendPlane);
                house.plane.kill(u64::MAX);
                house.plane_disk.cut_power()
            }
            Fault::PowerCutHost { host, down } => {
                self.later(down, Remedy::MendHost(host));
                house.hosts[host].kill_everything();
                house.hosts[host].disk.cut_power()
            }
            _ => Ok(()),
        }
    }

    fn task_agent(&self, host: HostNumber, pick: u64) -> Option<(Process, String)> {
        let mut agents = self.house.hosts[host].task_agents();
        let number = u64::try_from(agents.len()).ok().filter(|number| *number > 0)?;
        Some(agents.swap_remove(usize::try_from(pick % number).ok()?))
    }

    fn stop(&mut self, process: Option<Process>, length: u64) -> Option<String> {
        let process = process?;
        process.signal(Signal::STOP);
        self.later(length, Remedy::Continue(process.0));
        Some(process.0.to_string())
    }

    fn close(&mut self, host: HostNumber, mode: Mode, length: u64) {
        self.house.hosts[host].proxy.set(mode);
        self.later(length, Remedy::Open(host));
    }

    fn put_right(&self, remedy: Remedy) -> io::Result<()> {
        let house = self.house;
        match remedy {
            Remedy::Continue(process) => Process(process).signal(Signal::CONT),
            Remedy::Open(host) => house.hosts[host].proxy.set(Mode::Open),
            Remedy::KillAgent(host) => house.hosts[host].agent.kill(DOWN),
            Remedy::Well(host) => house.hosts[host].is_well(true)?,
            Remedy::FreePlane => house.plane_disk.free(),
            Remedy::FreeHost(host) => house.hosts[host].disk.free(),
            Remedy::MendPlane => {
                house.plane.kill(u64::MAX);
                patiently(|| house.plane_disk.mend())?;
                house.plane_disk.free();
                house.plane.start();
            }
            Remedy::MendHost(host) => {
                let host = &house.hosts[host];
                host.kill_everything();
                patiently(|| host.disk.mend())?;
                host.disk.free();
                host.agent.start();
            }
        }
        Ok(())
    }
}

/// Until those that were killed have let go.
fn patiently(mut mend: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    let mut last = Ok(());
    let mended = patience::until(UNMOUNT, || {
        last = mend();
        last.is_ok().then_some(())
    });
    mended.map_or(last, Ok)
}
