#![allow(clippy::unwrap_used)]

use std::fs;

use super::{RejectedCredentials, State, is_on_disk, load, save};
use crate::license::device::Device;
use crate::license::device::computer_id::Machine;
use crate::license::protocol::hex::RequestId;
use crate::license::state::entitlement::Phase;
use crate::license::state::sessions::Totals;
use crate::log::Log;
use crate::store::{Folder, Scratch};

struct Fixture {
    _scratch: Scratch,
    folder: Folder,
    device: Device,
}

impl Fixture {
    fn new() -> Fixture {
        let scratch = Scratch::new();
        let folder = Folder::open(&scratch.0.join("state"), &[]).unwrap();
        let device = Device::open(&folder, &Machine::default(), &Log::to(|_| {})).unwrap();
        Fixture { _scratch: scratch, folder, device }
    }

    fn load(&self) -> State {
        load(&self.folder, &self.device, None, &Log::to(|_| {}))
    }

    fn kept_aside(&self) -> usize {
        let entries = fs::read_dir(self.folder.view().path("")).unwrap().flatten();
        entries
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("license.json.damaged"))
            .count()
    }
}

fn state() -> State {
    State {
        phase: Phase::Refused(-117),
        generation: 7,
        epoch: 3,
        totals: Totals { granted: 100, consumed: 40, held: 10 },
        last_contact: 1_763_726_400,
        is_unknown: true,
        rejected_credentials: Some(RejectedCredentials {
            seal: "00".to_owned(),
            message: "no".to_owned(),
        }),
        abandoned_activation: Some(RequestId([3; 16])),
        bundle: Some("token".to_owned()),
        ..State::default()
    }
}

#[test]
fn what_is_written_reads_back() {
    let fixture = Fixture::new();
    assert_eq!(fixture.load(), State::default());
    for phase in [
        Phase::Unlicensed,
        Phase::Activating,
        Phase::Returning,
        Phase::Damaged,
        Phase::Refused(-114),
    ] {
        let state = State { phase, ..state() };
        save(&fixture.folder, &fixture.device, &state).unwrap();
        assert!(is_on_disk(&fixture.folder, &fixture.device, &state));
        assert_eq!(fixture.load(), state);
    }
}

#[test]
fn any_change_of_the_file_is_noticed_and_the_file_kept_aside() {
    let fixture = Fixture::new();
    save(&fixture.folder, &fixture.device, &state()).unwrap();
    let path = fixture.folder.view().path("license.json");
    let whole = fs::read(&path).unwrap();
    let edited =
        String::from_utf8(whole.clone()).unwrap().replace("consumed\\\":40", "consumed\\\":4");
    assert_ne!(edited.as_bytes(), whole);
    let mut damages = vec![Vec::new(), vec![0; whole.len()], edited.into_bytes()];
    damages.push(whole[..whole.len() / 2].to_vec());
    for (number, damage) in damages.into_iter().enumerate() {
        fs::write(&path, damage).unwrap();
        assert_eq!(fixture.load().phase, Phase::Damaged, "{number}");
        assert!(!path.exists());
        assert_eq!(fixture.kept_aside(), number + 1);
    }
}

#[test]
fn a_file_of_another_appliance_counts_for_nothing() {
    let (one, two) = (Fixture::new(), Fixture::new());
    save(&one.folder, &one.device, &state()).unwrap();
    let file = fs::read(one.folder.view().path("license.json")).unwrap();
    two.folder.replace("license.json", &file).unwrap();
    assert_eq!(two.load().phase, Phase::Damaged);
}
