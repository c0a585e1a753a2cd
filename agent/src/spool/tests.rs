//! The spool against a model of it, on a disk that fails, dies, and forgets what was not synced.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use proptest::prelude::*;

use super::*;

/// What happens to a write, a removal or anything else that changes the disk.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// It fails, and of the bytes so many were written.
    Fails(usize),
    /// So many bytes are written; then the process is dead.
    Dies(usize),
}

#[derive(Debug, Default)]
struct State {
    ram: Ram,
    /// What a power cut leaves of each file.
    synced: BTreeMap<String, Vec<u8>>,
    /// Changes so far.
    changes: usize,
    /// At which change what happens.
    fault: Option<(usize, Fault)>,
    is_dead: bool,
}

/// A disk of which the test keeps a handle.
#[derive(Clone, Debug, Default)]
struct Faulty(Arc<Mutex<State>>);

impl Faulty {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// What outlives the death of the process.
    fn after_death(&self) -> Self {
        Self(Arc::new(Mutex::new(State { ram: self.state().ram.clone(), ..State::default() })))
    }

    /// What outlives a power cut.
    fn after_power_cut(&self) -> Self {
        let files = self.state().synced.clone();
        Self(Arc::new(Mutex::new(State { ram: Ram { files }, ..State::default() })))
    }

    /// Makes a change, unless a fault has its turn: then `partly` is told how many bytes are still written.
    fn change(
        &self,
        make: impl FnOnce(&mut State) -> io::Result<()>,
        partly: impl FnOnce(&mut State, usize),
    ) -> io::Result<()> {
        let state = &mut *self.state();
        if state.is_dead {
            return Err(io::Error::other("dead"));
        }
        state.changes += 1;
        match state.fault {
            Some((at, fault)) if at == state.changes => {
                let (Fault::Fails(bytes) | Fault::Dies(bytes)) = fault;
                partly(state, bytes);
                state.is_dead = matches!(fault, Fault::Dies(_));
                Err(io::Error::from(io::ErrorKind::StorageFull))
            }
            _ => make(state),
        }
    }
}

impl Disk for Faulty {
    fn list(&self) -> io::Result<Vec<String>> {
        self.state().ram.list()
    }

    fn length(&self, name: &str) -> io::Result<u64> {
        self.state().ram.length(name)
    }

    fn read(&mut self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.state().ram.read(name, offset, buffer)
    }

    fn write(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.change(
            |state| state.ram.write(name, offset, bytes),
            |state, count| {
                let _ = state.ram.write(name, offset, &bytes[..count.min(bytes.len())]);
            },
        )
    }

    fn cut(&mut self, name: &str, length: u64) -> io::Result<()> {
        self.change(|state| state.ram.cut(name, length), |_, _| {})
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        let sync = |state: &mut State| {
            if let Some(bytes) = state.ram.files.get(name) {
                state.synced.insert(name.to_owned(), bytes.clone());
            }
            Ok(())
        };
        self.change(sync, |_, _| {})
    }

    // A file system keeps the order of names; of their bytes it keeps what was synced.
    fn remove(&mut self, name: &str) -> io::Result<()> {
        let remove = |state: &mut State| {
            state.synced.remove(name);
            state.ram.remove(name)
        };
        self.change(remove, |_, _| {})
    }

    fn replace(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let replace = |state: &mut State| {
            state.synced.insert(name.to_owned(), bytes.to_vec());
            state.ram.replace(name, bytes)
        };
        self.change(replace, |_, _| {})
    }

    fn note(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let note = |state: &mut State| {
            // The worst that may be left of it.
            state.synced.insert(name.to_owned(), Vec::new());
            state.ram.replace(name, bytes)
        };
        self.change(note, |_, _| {})
    }
}

const LIMITS: Limits = Limits { bytes_max: 4 * 1024 * 1024, sync: Sync::Every(Duration::MAX) };

fn event(number: usize, bytes: usize) -> Event {
    Event { timestamp_ms: 1_795_419_012_532, message: format!("{number} {}", "x".repeat(bytes)) }
}

fn number_of(event: &Event) -> usize {
    event.message.split(' ').next().unwrap().parse().unwrap()
}

fn open(disk: &Faulty, limits: Limits) -> Spool {
    Spool::on(Box::new(disk.clone()), limits).unwrap().0
}

/// Everything that a spool hands out, by number.
fn rest(spool: &mut Spool) -> Vec<usize> {
    spool.take(usize::MAX).unwrap().iter().map(|(_, event)| number_of(event)).collect()
}

#[test]
fn what_is_acknowledged_does_not_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let open = || Spool::open(directory.path(), LIMITS).unwrap();
    assert!(!has_waiting(directory.path()));
    let (mut spool, none) = open();
    assert_eq!(none, Recovered::default());
    spool.append(&[event(0, 1), event(1, 0), event(2, 1)]).unwrap();
    let taken = spool.take(usize::MAX).unwrap();
    // In any order: the second may be sent again until the first is acknowledged too.
    spool.acknowledge([taken[1].0]).unwrap();
    assert_eq!((spool.waiting(), open().1.events), (2, 3));
    spool.acknowledge([taken[0].0]).unwrap();
    let (mut again, recovered) = open();
    assert_eq!((recovered.events, rest(&mut again)), (1, vec![2]));
    spool.acknowledge([taken[2].0, taken[2].0]).unwrap();
    assert_eq!((spool.waiting(), spool.bytes(), has_waiting(directory.path())), (0, 0, false));
    // A number does not come back with the next event.
    spool.append(&[event(3, 1)]).unwrap();
    assert!(has_waiting(directory.path()));
    assert_eq!(rest(&mut open().0), [3]);
}

#[test]
fn a_spool_in_memory_does_the_same() {
    let mut spool = Spool::in_memory(LIMITS);
    spool.append(&[event(0, 1), event(1, 1)]).unwrap();
    let taken = spool.take(1).unwrap();
    assert_eq!((taken.len(), rest(&mut spool)), (1, vec![1]));
    spool.acknowledge(taken.into_iter().map(|(ticket, _)| ticket)).unwrap();
    assert_eq!(spool.waiting(), 1);
}

#[test]
fn when_it_is_full_the_oldest_go_and_are_counted() {
    let mut spool = Spool::in_memory(LIMITS);
    for number in 0..100 {
        spool.append(&[event(number, 100_000)]).unwrap();
        assert!(spool.bytes() <= LIMITS.bytes_max);
    }
    let evicted = usize::try_from(spool.evicted()).unwrap();
    assert!(evicted >= 58 && spool.waiting() == 100 - evicted);
    assert_eq!(rest(&mut spool), (evicted..100).collect::<Vec<_>>());
    let error = spool.append(&vec![event(0, 1_000_000); 5]).unwrap_err();
    assert!(matches!(error, Error::TooLarge { bytes_max: 4_194_304, .. }), "{error}");
    assert!(matches!(spool.append(&[event(0, PAYLOAD_BYTES_MAX)]), Err(Error::TooLarge { .. })));
}

#[test]
fn what_is_in_flight_when_its_segment_goes_is_not_lost() {
    let mut spool = Spool::in_memory(LIMITS);
    spool.append(&[event(0, 100_000)]).unwrap();
    let taken = spool.take(1).unwrap();
    for number in 1..100 {
        spool.append(&[event(number, 100_000)]).unwrap();
    }
    let (waiting, evicted) = (spool.waiting() as u64, spool.evicted());
    assert_eq!(waiting + evicted, 100);
    spool.acknowledge(taken.into_iter().map(|(ticket, _)| ticket)).unwrap();
    assert_eq!((spool.waiting() as u64, spool.evicted()), (waiting - 1, evicted));
}

#[test]
fn memory_stays_flat_however_much_lies_on_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let limits = Limits { bytes_max: 64 * 1024 * 1024, ..LIMITS };
    let (mut spool, _) = Spool::open(directory.path(), limits).unwrap();
    for number in 0..60 {
        spool.append(&[event(number, 1_000_000)]).unwrap();
    }
    let (mut spool, recovered) = Spool::open(directory.path(), limits).unwrap();
    assert_eq!(recovered.events, 60);
    for number in 0..60 {
        let taken = spool.take(1_000_000).unwrap();
        assert_eq!(taken.len(), 1);
        assert_eq!(number_of(&taken[0].1), number);
        spool.acknowledge([taken[0].0]).unwrap();
        assert!(spool.buffer.capacity() <= 4 * READ_BYTES && spool.taken.len() <= 1);
    }
    assert!(!has_waiting(directory.path()));
}

#[test]
fn any_damaged_byte_costs_one_event_at_most() {
    let disk = Faulty::default();
    open(&disk, LIMITS).append(&[event(0, 5), event(1, 5), event(2, 5)]).unwrap();
    let file = name(0);
    let bytes = disk.state().ram.files[&file].clone();
    for at in 0..bytes.len() {
        let disk = disk.after_death();
        disk.state().ram.files.get_mut(&file).unwrap()[at] ^= 0x41;
        let (mut spool, recovered) = Spool::on(Box::new(disk.clone()), LIMITS).unwrap();
        let left = rest(&mut spool);
        assert!(left.len() >= 2, "byte {at}: {left:?}");
        assert_eq!((left.len() == 2, recovered.damaged_bytes + recovered.torn_bytes > 0), (at >= 8, true));
        // And what is saved is saved for good.
        assert_eq!(rest(&mut open(&disk.after_death(), LIMITS)), left);
    }
    for length in 0..bytes.len() {
        let disk = disk.after_death();
        disk.state().ram.files.get_mut(&file).unwrap().truncate(length);
        let (mut spool, recovered) = Spool::on(Box::new(disk), LIMITS).unwrap();
        let whole = (length.saturating_sub(8)) / (OVERHEAD_BYTES + 7);
        assert_eq!((rest(&mut spool).len(), recovered.damaged_bytes > 0), (whole, (1..8).contains(&length)));
    }
}

#[test]
fn a_damaged_note_costs_nothing_but_time() {
    let disk = Faulty::default();
    let mut spool = open(&disk, LIMITS);
    spool.append(&[event(0, 5), event(1, 5)]).unwrap();
    let taken = spool.take(usize::MAX).unwrap();
    spool.acknowledge([taken[0].0]).unwrap();
    for note in
        [&b""[..], b"\0\0\0\0", b"0 99999999999999999999\n", b"zz 8\n", b"0 8", b"0 9\n", &[0xff; 100]]
    {
        let disk = disk.after_death();
        disk.state().ram.files.insert(ACKNOWLEDGED.to_owned(), note.to_vec());
        let left = rest(&mut open(&disk, LIMITS));
        assert!(left.ends_with(&[1]), "{note:?}: {left:?}");
    }
}

/// What a work came to.
#[derive(Default)]
struct Done {
    /// The spool took them.
    accepted: BTreeSet<usize>,
    /// It was told that they are stored, and agreed.
    acknowledged: BTreeSet<usize>,
    /// It was told, and failed in that moment: it may know or not.
    told: BTreeSet<usize>,
}

impl Done {
    /// What the spool took, was never told to forget, and does not have.
    fn lost(&self, left: &[usize]) -> Vec<usize> {
        let left: BTreeSet<&usize> = left.iter().collect();
        let is_lost = |number: &usize| {
            ![&self.acknowledged, &self.told].iter().any(|known| known.contains(number))
                && !left.contains(number)
        };
        self.accepted.iter().copied().filter(is_lost).collect()
    }
}

/// Runs a fixed work with a fault at its `at`-th change.
fn work(disk: &Faulty, limits: Limits, at: usize, fault: Fault) -> Done {
    disk.state().fault = Some((at, fault));
    let mut done = Done::default();
    let Ok((mut spool, _)) = Spool::on(Box::new(disk.clone()), limits) else { return done };
    for round in 0..640 {
        let events: Vec<Event> =
            (0..1 + round % 3).map(|part| event(round * 3 + part, 700 * (round % 7))).collect();
        if spool.append(&events).is_ok() {
            done.accepted.extend(events.iter().map(number_of));
        }
        if round % 2 == 0 {
            let taken = spool.take(2_000).unwrap_or_default();
            let numbers: Vec<usize> = taken.iter().map(|(_, event)| number_of(event)).collect();
            let is_acknowledged = spool.acknowledge(taken.iter().rev().map(|(ticket, _)| *ticket)).is_ok();
            if is_acknowledged { &mut done.acknowledged } else { &mut done.told }.extend(numbers);
        }
        if round % 16 == 0 {
            let _ = spool.sync();
        }
    }
    done
}

fn is_sorted(numbers: &[usize]) -> bool {
    numbers.windows(2).all(|pair| pair[0] < pair[1])
}

#[test]
fn a_death_at_any_of_a_thousand_points_loses_nothing() {
    let mut deaths = 0;
    for at in 1..=1_000 {
        let disk = Faulty::default();
        let done = work(&disk, LIMITS, at, Fault::Dies(at % 50));
        deaths += usize::from(disk.state().is_dead);
        let mut spool = open(&disk.after_death(), LIMITS);
        let left = rest(&mut spool);
        assert!(is_sorted(&left), "point {at}: order, and nothing twice");
        let lost = done.lost(&left);
        assert!(lost.is_empty() && spool.evicted() == 0, "point {at}: {lost:?}");
        // What comes again was in flight: nothing that is acknowledged does.
        let again = left.iter().filter(|number| done.acknowledged.contains(number)).count();
        assert_eq!(again, 0, "point {at}");
    }
    assert!(deaths >= 900, "{deaths} deaths: the work has enough changes");
}

#[test]
fn a_disk_that_fails_once_loses_nothing_and_goes_on() {
    for at in 1..=1_000 {
        let disk = Faulty::default();
        let done = work(&disk, LIMITS, at, Fault::Fails(at % 50));
        let left = rest(&mut open(&disk.after_death(), LIMITS));
        let lost = done.lost(&left);
        assert!(lost.is_empty() && is_sorted(&left), "point {at}: {lost:?}");
    }
}

#[test]
fn a_power_cut_loses_nothing_that_was_synced() {
    let limits = Limits { sync: Sync::Each, ..LIMITS };
    for at in (1..=1_500).step_by(3) {
        let disk = Faulty::default();
        let done = work(&disk, limits, at, Fault::Dies(at % 50));
        let left = rest(&mut open(&disk.after_power_cut(), limits));
        let lost = done.lost(&left);
        assert!(lost.is_empty() && is_sorted(&left), "point {at}: {lost:?}");
    }
}

/// What somebody does with a spool.
#[derive(Clone, Debug)]
enum Step {
    Append(Vec<usize>),
    Take(usize),
    Acknowledge(usize),
    Fail(usize, usize),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => prop::collection::vec(0..60_000_usize, 0..6).prop_map(Step::Append),
        3 => (0..100_000_usize).prop_map(Step::Take),
        3 => any::<usize>().prop_map(Step::Acknowledge),
        1 => (1..4_usize, 0..70_000_usize).prop_map(|(at, bytes)| Step::Fail(at, bytes)),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// The model: what waits, oldest first; of that, what is in flight. A small budget, so that the oldest go.
    #[test]
    fn it_does_what_its_model_does(steps in steps()) {
        let limits = Limits { bytes_max: 600_000, sync: Sync::Every(Duration::MAX) };
        let disk = Faulty::default();
        let mut spool = open(&disk, limits);
        let (mut next, mut accepted, mut settled) = (0, Vec::new(), Vec::new());
        let mut flight: Vec<(Ticket, usize)> = Vec::new();
        let (mut evicted, mut landed_nowhere, mut is_restarted) = (0, 0, false);
        for step in steps {
            match step {
                Step::Append(sizes) => {
                    let events: Vec<Event> = sizes.iter().map(|bytes| { next += 1; event(next, *bytes) }).collect();
                    if spool.append(&events).is_ok() {
                        accepted.extend(events.iter().map(number_of));
                    }
                }
                Step::Take(bytes) => {
                    let taken = spool.take(bytes).unwrap();
                    let lines: usize = taken.iter().map(|(_, event)| event.message.len()).sum();
                    prop_assert!(taken.len() <= 1 || lines <= bytes);
                    flight.extend(taken.iter().map(|(ticket, event)| (*ticket, number_of(event))));
                }
                Step::Acknowledge(index) if !flight.is_empty() => {
                    let (ticket, number) = flight.remove(index % flight.len());
                    let _ = spool.acknowledge([ticket]);
                    settled.push(number);
                }
                Step::Acknowledge(_) => {}
                Step::Fail(at, bytes) => {
                    let state = &mut *disk.state();
                    state.fault = Some((state.changes + at, Fault::Fails(bytes)));
                }
                Step::Restart => {
                    disk.state().fault = None;
                    evicted += spool.evicted();
                    spool = open(&disk, limits);
                    // Of a segment that had to go, what was in flight is nowhere any more.
                    landed_nowhere += flight.len() as u64;
                    flight.clear();
                    is_restarted = true;
                }
            }
            prop_assert!(is_sorted(&flight.iter().map(|(_, number)| *number).collect::<Vec<_>>()));
            prop_assert!(spool.bytes() <= limits.bytes_max);
        }
        disk.state().fault = None;
        let before = spool.waiting();
        let left = rest(&mut spool);
        prop_assert!(is_sorted(&left));
        prop_assert_eq!(before, left.len() + flight.len());
        prop_assert!(left.iter().all(|number| *number <= next));
        let is_gone = |number: &&usize| {
            !settled.contains(number) && !left.contains(number) && !flight.iter().any(|(_, flying)| flying == *number)
        };
        let gone = accepted.iter().filter(is_gone).count() as u64;
        evicted += spool.evicted();
        // After a restart, what was acknowledged out of turn comes again, and may have to go then.
        let again = if is_restarted { settled.len() as u64 } else { 0 };
        let bounds = evicted.saturating_sub(again)..=evicted + landed_nowhere;
        prop_assert!(bounds.contains(&gone), "{} gone, {} counted", gone, evicted);
    }
}
