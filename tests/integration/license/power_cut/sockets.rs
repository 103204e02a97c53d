//! Cuts on the network: at the calls that touch a socket, and while an answer comes in.
//!
//! strace counts the calls of each thread by itself. So it is attached when the daemon has started, and
//! the call comes over the daemon's own socket: then the thread that carries the question is the only
//! one that connects, and the first that sends.

use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;

use super::scene::Scene;
use super::{MOST_CALLS, Play};
use crate::support::appliance::program;
use crate::support::network::Fault;
use crate::support::prerequisites::{can_trace, traceable};
use crate::support::strace::attach;
use crate::support::wait::{SOON, until};

/// What a question is carried with, in the order of the calls: a connection, its limits, the question
/// and the answer.
const KINDS: [&str; 6] = ["socket", "connect", "poll", "setsockopt", "sendto", "recvfrom"];

/// `least`: points that the call has at least.
pub(super) fn survives(name: &str, play: &Play, least: usize) {
    if !can_trace() {
        return;
    }
    let mut scene = Scene::new(play);
    let tried: Vec<(&str, usize)> =
        KINDS.into_iter().map(|kind| (kind, scene.cut_at_each_socket_call(kind, play))).collect();
    let _ = writeln!(std::io::stderr(), "cut at sockets, {name}: {tried:?}");
    let points: usize = tried.iter().map(|(_, points)| points).sum();
    assert!(points >= least, "{name}: only {tried:?}");
}

/// The daemon dies when it has been given so many bytes of the answer.
pub(super) fn survives_every_part_of_the_answer(play: &Play) {
    let mut scene = Scene::new(play);
    let most = 64 << 10; // more than any answer has
    for bytes in [None, Some(0), Some(1), Some(200), Some(900), Some(most)] {
        scene.rewind();
        scene.appliance.launch();
        scene.settle();
        scene.network.set(Fault::Kill { daemon: scene.appliance.pid(), bytes });
        (play.change)(&scene);
        assert_eq!(scene.appliance.ended(SOON).signal(), Some(9), "{bytes:?}");
        scene.network.set(Fault::None);
        scene.appliance.launch();
        (play.after)(&scene);
        scene.appliance.stop();
    }
}

impl Scene {
    fn cut_at_each_socket_call(&mut self, kind: &str, play: &Play) -> usize {
        for number in 1..=MOST_CALLS {
            self.rewind();
            let mut command = traceable(program());
            command.arg("serve").arg("--config").arg(self.appliance.config());
            self.appliance.launch_as(command.env_remove("NOTIFY_SOCKET")).unwrap();
            self.settle();
            let mut strace =
                attach(self.appliance.pid(), &format!("inject={kind}:signal=KILL:when={number}"));
            let answered = (play.change)(self).status == 200;
            let status = if answered { self.appliance.stop() } else { self.appliance.ended(SOON) };
            until(SOON, "strace has ended", || strace.try_wait().unwrap());
            if status.signal() != Some(9) {
                assert!(answered, "{kind} {number}: neither killed nor answered");
                return number - 1;
            }
            self.appliance.launch();
            (play.after)(self);
            self.appliance.stop();
        }
        panic!("{kind} is called more than {MOST_CALLS} times");
    }
}
