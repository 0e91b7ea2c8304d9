use crate::{EpochReport, Observer, StepReport, TrainError};
use std::{
    io::Write,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

/// Writes a run's figures as TensorBoard reads them: an event file in a folder, a record a step and an epoch. A run that goes on adds a
/// file to the folder, which TensorBoard shows as one run.
///
/// The two formats are small and do not change, so they are written here: a `TFRecord` is a length and bytes with a checksum each, and an
/// event is a protobuf message of four fields.
#[derive(Debug)]
pub struct TensorBoard {
    file: fs_err::File,
    failure: Option<std::io::Error>,
}

impl TensorBoard {
    /// Makes the folder where there is none, and in it `events.out.tfevents.<seconds>.attackline`.
    pub fn append(folder: &Path) -> Result<Self, TrainError> {
        fs_err::create_dir_all(folder)?;
        let now = now();
        let path = folder.join(format!("events.out.tfevents.{:010}.attackline", now as u64));
        let mut file = fs_err::OpenOptions::new().create(true).append(true).open(&path)?;
        // Two runs can start within a second; the version belongs to the beginning alone.
        if file.metadata()?.len() == 0 {
            let mut event = Vec::new();
            double(&mut event, 1, now);
            bytes(&mut event, 3, b"brain.Event:2");
            file.write_all(&record(&event))?;
        }
        Ok(Self { file, failure: None })
    }

    /// The first failure to write, where there was one; training went on without.
    pub fn finish(self) -> Result<(), TrainError> {
        self.failure.map_or(Ok(()), |error| Err(error.into()))
    }

    fn write(&mut self, step: u64, values: &[(&str, f64)]) {
        if self.failure.is_none() {
            self.failure = self.file.write_all(&record(&event(now(), step, values))).err();
        }
    }
}

impl Observer for TensorBoard {
    fn step(&mut self, report: &StepReport) {
        let values = [
            ("train/loss", report.loss),
            ("train/learning_rate", report.learning_rate),
            ("train/gradient_norm", report.gradient_norm),
            ("train/tokens_per_second", report.tokens_per_second),
        ];
        self.write(report.step, &values);
    }

    fn epoch(&mut self, report: &EpochReport) {
        let f1 = report.macro_f1.map(|f1| ("validation/macro_f1", f1));
        let values = [("validation/loss", report.validation_loss), ("validation/accuracy", report.accuracy)].into_iter().chain(f1);
        self.write(report.step, &values.collect::<Vec<_>>());
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// `Event { wall_time = 1, step = 2, summary = 5 }`, `Summary { repeated Value value = 1 }`, `Value { tag = 1, simple_value = 2 }`.
fn event(time: f64, step: u64, values: &[(&str, f64)]) -> Vec<u8> {
    let mut summary = Vec::new();
    for (tag, value) in values {
        let mut entry = Vec::new();
        bytes(&mut entry, 1, tag.as_bytes());
        entry.push(2 << 3 | 5);
        entry.extend((*value as f32).to_le_bytes());
        bytes(&mut summary, 1, &entry);
    }
    let mut event = Vec::new();
    double(&mut event, 1, time);
    event.push(2 << 3);
    varint(&mut event, step);
    bytes(&mut event, 5, &summary);
    event
}

fn double(out: &mut Vec<u8>, field: u8, value: f64) {
    out.push(field << 3 | 1);
    out.extend(value.to_le_bytes());
}

fn bytes(out: &mut Vec<u8>, field: u8, value: &[u8]) {
    out.push(field << 3 | 2);
    varint(out, value.len() as u64);
    out.extend(value);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A `TFRecord`: the length, its checksum, the bytes, theirs.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    [&length[..], &masked(&length), data, &masked(data)].concat()
}

/// The checksum as `TFRecord` stores it: turned and shifted, so that a checksum of data that hold checksums still tells something.
fn masked(data: &[u8]) -> [u8; 4] {
    crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// CRC-32 by Castagnoli's polynomial, a byte at a time: a step has some hundred.
fn crc32c(data: &[u8]) -> u32 {
    const TABLE: [u32; 256] = table();
    !data.iter().fold(!0, |crc, &byte| crc >> 8 ^ TABLE[(crc as u8 ^ byte) as usize])
}

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = index as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn checksums_are_castagnolis() {
        // The check value of the catalogue, and two of RFC 3720.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    }

    #[test]
    fn long_numbers_take_seven_bits_a_byte() {
        for (value, expected) in [(0, &[0][..]), (127, &[127]), (128, &[0x80, 1]), (300, &[0xac, 2])] {
            let mut out = Vec::new();
            varint(&mut out, value);
            assert_eq!(out, expected, "{value}");
        }
        let mut out = Vec::new();
        varint(&mut out, u64::MAX);
        assert_eq!(out.len(), 10);
    }
}
