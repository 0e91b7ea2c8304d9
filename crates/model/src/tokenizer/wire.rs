//! Protocol buffers' wire format, as far as `spm.model` needs it.

/// One field of a message.
pub(super) enum Field<'a> {
    Varint(u64),
    Fixed32([u8; 4]),
    Bytes(&'a [u8]),
    /// A fixed field of eight bytes, which no message here has.
    Fixed64,
}

/// The fields of a message in order: number and value. The first thing that is wrong is the last item.
pub(super) fn fields(mut message: &[u8]) -> impl Iterator<Item = Result<(u64, Field<'_>), String>> {
    std::iter::from_fn(move || {
        if message.is_empty() {
            return None;
        }
        let field = next(&mut message);
        if field.is_none() {
            message = &[];
        }
        Some(field.ok_or_else(|| "cut short or no SentencePiece model".to_owned()))
    })
}

fn next<'a>(message: &mut &'a [u8]) -> Option<(u64, Field<'a>)> {
    let key = varint(message)?;
    let field = match key & 7 {
        0 => Field::Varint(varint(message)?),
        1 => message.split_off(..8).map(|_| Field::Fixed64)?,
        2 => {
            let length = usize::try_from(varint(message)?).ok()?;
            Field::Bytes(message.split_off(..length)?)
        }
        5 => Field::Fixed32(message.split_off(..4)?.try_into().ok()?),
        _ => return None,
    };
    Some((key >> 3, field))
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *message.split_off_first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
