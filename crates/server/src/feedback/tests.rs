#![allow(clippy::unwrap_used)]
use super::*;
use redb::StorageBackend;
use std::io::{Error, ErrorKind, Result as IoResult};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// A disk that can be full.
#[derive(Debug, Clone, Default)]
struct Disk {
    bytes: Arc<Mutex<Vec<u8>>>,
    full: Arc<AtomicBool>,
}

impl Disk {
    fn room(&self) -> IoResult<()> {
        if self.full.load(Ordering::Relaxed) { Err(Error::from(ErrorKind::StorageFull)) } else { Ok(()) }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> IoResult<u64> {
        Ok(self.bytes.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> IoResult<()> {
        let start = offset as usize;
        out.copy_from_slice(&self.bytes.lock().unwrap()[start..start + out.len()]);
        Ok(())
    }

    fn set_len(&self, length: u64) -> IoResult<()> {
        self.room()?;
        self.bytes.lock().unwrap().resize(length as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> IoResult<()> {
        self.room()
    }

    fn write(&self, offset: u64, data: &[u8]) -> IoResult<()> {
        self.room()?;
        let start = offset as usize;
        self.bytes.lock().unwrap()[start..start + data.len()].copy_from_slice(data);
        Ok(())
    }
}

#[test]
fn a_full_disk_is_said_and_nothing_kept_is_lost() {
    let disk = Disk::default();
    let own = disk.clone();
    let feedback = Feedback::with_opener(Box::new(move || Ok(Database::builder().create_with_backend(own.clone())?))).unwrap();
    let mark = |text: &str| Mark { text: text.into(), label: "T1049".into(), score: 0.9, verdict: Verdict::Right, correct_label: None, model: None };
    assert_eq!(feedback.add(&mark("first")).unwrap(), 1);
    disk.full.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        let refused = feedback.add(&mark("refused")).unwrap_err();
        assert_eq!((refused.status, refused.kind), (StatusCode::INSUFFICIENT_STORAGE, "feedback"), "{refused}");
    }
    disk.full.store(false, Ordering::Relaxed);
    assert_eq!(feedback.add(&mark("second")).unwrap(), 2);
    let texts: Vec<String> = feedback.marks().unwrap().into_iter().map(|(_, mark)| mark.text).collect();
    assert_eq!(texts, ["first", "second"]);
}
