//! What observers write of a run, read back by other code than wrote it.
#![allow(clippy::unwrap_used)]

mod common;

use attackline_train::{EpochReport, Observer, StepReport, TensorBoard, TrainSettings, Trainer};
use common::{data, folder, labels};
use std::{path::Path, sync::atomic::AtomicBool};

/// An event as it is read: its step, its version, its values.
#[derive(Debug, Default, PartialEq)]
struct Event {
    time: f64,
    step: u64,
    version: String,
    values: Vec<(String, f32)>,
}

/// A protobuf field's bytes or its number.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

fn varint(data: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = data.split_first().unwrap();
        *data = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return value;
        }
    }
    panic!("a number without an end");
}

fn take<'a>(data: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = data.split_at(count);
    *data = rest;
    taken
}

fn fields(mut data: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut found = Vec::new();
    while !data.is_empty() {
        let key = varint(&mut data);
        let field = match key & 7 {
            0 => Field::Number(varint(&mut data)),
            1 => Field::Number(u64::from_le_bytes(take(&mut data, 8).try_into().unwrap())),
            2 => {
                let length = varint(&mut data) as usize;
                Field::Bytes(take(&mut data, length))
            }
            5 => Field::Number(u64::from(u32::from_le_bytes(take(&mut data, 4).try_into().unwrap()))),
            kind => panic!("wire type {kind}"),
        };
        found.push((key >> 3, field));
    }
    found
}

fn event(data: &[u8]) -> Event {
    let mut event = Event::default();
    for field in fields(data) {
        match field {
            (1, Field::Number(bits)) => event.time = f64::from_bits(bits),
            (2, Field::Number(step)) => event.step = step,
            (3, Field::Bytes(text)) => event.version = String::from_utf8(text.to_vec()).unwrap(),
            (5, Field::Bytes(summary)) => {
                for (number, value) in fields(summary) {
                    let Field::Bytes(value) = value else { panic!("a value is a message") };
                    assert_eq!(number, 1);
                    match &fields(value)[..] {
                        [(1, Field::Bytes(tag)), (2, Field::Number(bits))] => {
                            event.values.push((String::from_utf8(tag.to_vec()).unwrap(), f32::from_bits(*bits as u32)));
                        }
                        _ => panic!("a value has a tag and a number"),
                    }
                }
            }
            (number, _) => panic!("field {number}"),
        }
    }
    event
}

/// Bit by bit, unlike the table that wrote.
fn checksum(data: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in data {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    let crc = !crc;
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

fn events(folder: &Path) -> Vec<Event> {
    let mut found = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        assert!(name.starts_with("events.out.tfevents.") && name.ends_with(".attackline"), "{name}");
        let bytes = std::fs::read(file.path()).unwrap();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let length = take(&mut rest, 8);
            assert_eq!(checksum(length).to_le_bytes(), take(&mut rest, 4));
            let data = take(&mut rest, u64::from_le_bytes(length.try_into().unwrap()) as usize);
            assert_eq!(checksum(data).to_le_bytes(), take(&mut rest, 4));
            found.push(event(data));
        }
    }
    found
}

/// Keeps everything.
#[derive(Default)]
struct Record(Vec<StepReport>, Vec<EpochReport>);

impl Observer for Record {
    fn step(&mut self, report: &StepReport) {
        self.0.push(report.clone());
    }

    fn epoch(&mut self, report: &EpochReport) {
        self.1.push(report.clone());
    }
}

#[test]
fn tensorboard_files_hold_every_step_and_epoch() {
    let (folder, labels, data, home) = (folder(), labels(), data(24), tempfile::tempdir().unwrap());
    let settings = TrainSettings { epochs: 2, batch_tokens: 64, threads: 2, ..TrainSettings::default() };
    let mut seen = Record::default();
    let mut board = Some(TensorBoard::append(&home.path().join("runs/a")).unwrap());
    Trainer::new(&folder, &labels, &data, settings).unwrap().run(&mut (&mut seen, &mut board), &AtomicBool::new(false)).unwrap();
    board.unwrap().finish().unwrap();
    assert!(seen.0.len() > 4 && seen.1.len() == 2);

    let events = events(&home.path().join("runs/a"));
    assert_eq!(events[0].version, "brain.Event:2");
    assert!(events.windows(2).all(|pair| pair[0].time <= pair[1].time) && events[0].time > 1.6e9);
    let value = |step: u64, tag: &str| events.iter().filter(|e| e.step == step).flat_map(|e| &e.values).find(|v| v.0 == tag).unwrap().1;
    for report in &seen.0 {
        let numbers = [
            ("train/loss", report.loss),
            ("train/learning_rate", report.learning_rate),
            ("train/gradient_norm", report.gradient_norm),
            ("train/tokens_per_second", report.tokens_per_second),
        ];
        numbers.iter().for_each(|(tag, number)| assert_eq!(value(report.step, tag), *number as f32, "{tag}"));
    }
    for report in &seen.1 {
        let numbers = [
            ("validation/loss", report.validation_loss),
            ("validation/accuracy", report.accuracy),
            ("validation/macro_f1", report.macro_f1.unwrap()),
        ];
        numbers.iter().for_each(|(tag, number)| assert_eq!(value(report.step, tag), *number as f32, "{tag}"));
    }
    assert_eq!(events.len(), 1 + seen.0.len() + seen.1.len());
}

#[test]
fn a_run_that_goes_on_adds_to_the_folder() {
    let home = tempfile::tempdir().unwrap();
    let report = |step| StepReport {
        step,
        steps: 300,
        epoch: 1,
        loss: 0.5,
        learning_rate: 1e-4,
        gradient_norm: 1.0,
        lines_per_second: 1.0,
        tokens_per_second: 1.0,
        seconds_left: 0.0,
    };
    for step in [1, 300] {
        let mut board = TensorBoard::append(home.path()).unwrap();
        board.step(&report(step));
        board.finish().unwrap();
    }
    let mut steps: Vec<u64> = events(home.path()).iter().filter(|event| !event.values.is_empty()).map(|event| event.step).collect();
    steps.sort_unstable();
    assert_eq!(steps, [1, 300]);
    let occupied = home.path().join("file");
    std::fs::write(&occupied, "").unwrap();
    assert!(TensorBoard::append(&occupied).unwrap_err().to_string().contains("file"));
}
