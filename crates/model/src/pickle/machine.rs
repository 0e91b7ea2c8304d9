//! The stack machine of a pickle: the instructions that `torch.save` writes, in protocols 2 to 5.

use super::value::{Element, Global, Place, Storage, Tensor, Value};
use std::collections::HashMap;

/// The most values that a pickle may make, items copied into a dictionary among them.
const MOST_VALUES: usize = 1 << 18;

/// The most extents that a tensor may have.
const MOST_EXTENTS: usize = 16;

/// What a pickle built, and how many bytes of the input it took.
pub(super) struct Built {
    pub(super) values: Vec<Value>,
    pub(super) root: Place,
    pub(super) length: usize,
}

impl Built {
    pub(super) fn value(&self, place: Place) -> &Value {
        &self.values[place]
    }
}

/// Runs the pickle at the start of `input`. Errors say what was refused.
pub(super) fn run(input: &[u8]) -> Result<Built, String> {
    Machine { input, at: 0, copied: 0, values: Vec::new(), stack: Vec::new(), memo: HashMap::new() }.run()
}

struct Machine<'a> {
    input: &'a [u8],
    at: usize,
    copied: usize,
    values: Vec<Value>,
    stack: Vec<Place>,
    memo: HashMap<u64, Place>,
}

impl<'a> Machine<'a> {
    fn run(mut self) -> Result<Built, String> {
        loop {
            let [code] = self.array()?;
            if code == b'.' {
                let root = self.pop()?;
                return Ok(Built { values: self.values, root, length: self.at });
            }
            self.step(code)?;
        }
    }

    fn step(&mut self, code: u8) -> Result<(), String> {
        match code {
            // Protocol and frame: nothing to do.
            0x80 => self.array::<1>().map(drop),
            0x95 => self.array::<8>().map(drop),
            b'(' => self.push(Value::Mark),
            b'0' => self.pop().map(drop),
            b'1' => self.pop_to_mark().map(drop),
            b'2' => self.duplicate(),
            b'N' | 0x88 | 0x89 => self.push(Value::Nothing),
            b'G' => self.array::<8>().and_then(|_| self.push(Value::Nothing)),
            b'F' => self.line().and_then(|_| self.push(Value::Nothing)),
            b'I' | b'L' | b'J' | b'K' | b'M' | 0x8a | 0x8b => self.integer(code),
            b'X' | 0x8c | 0x8d | b'T' | b'U' | b'V' => self.text(code),
            b'B' | b'C' | 0x8e | 0x96 => self.bytes(code).and_then(|_| self.push(Value::Nothing)),
            b')' | b']' | 0x8f => self.push(Value::Sequence(Vec::new())),
            b't' | b'l' | 0x91 => {
                let items = self.pop_to_mark()?;
                self.push(Value::Sequence(items))
            }
            0x85..=0x87 => {
                let mut items = (0x84..code).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
                items.reverse();
                self.push(Value::Sequence(items))
            }
            b'a' => {
                let item = self.pop()?;
                self.extend(vec![item])
            }
            b'e' | 0x90 => {
                let items = self.pop_to_mark()?;
                self.extend(items)
            }
            b'}' => self.push(Value::Dict(Vec::new())),
            b'd' => {
                let items = self.pop_to_mark()?;
                self.push(Value::Dict(Vec::new()))?;
                self.set(&items)
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(&[key, value])
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.set(&items)
            }
            b'p' | b'q' | b'r' | 0x94 => self.remember(code),
            b'g' | b'h' | b'j' => self.recall(code),
            b'c' | 0x93 => self.global(code),
            b'R' | 0x81 => self.call(),
            // Attributes, such as a state dict's `_metadata`: weights need none.
            b'b' => self.pop().map(drop),
            b'Q' => self.storage(),
            other => Err(format!("a pickle instruction that weights don't need ({other:#04x} at byte {}); nothing was run", self.at - 1)),
        }
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8], String> {
        let rest = &self.input[self.at..];
        match usize::try_from(count).ok().and_then(|count| rest.get(..count)) {
            Some(bytes) => {
                self.at += bytes.len();
                Ok(bytes)
            }
            None => Err("the pickle is cut short".into()),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        self.take(N as u64).map(|bytes| bytes.try_into().expect("as many bytes as asked for"))
    }

    fn line(&mut self) -> Result<&'a str, String> {
        let rest = &self.input[self.at..];
        let length = rest.iter().position(|&byte| byte == b'\n').ok_or("the pickle is cut short")?;
        self.at += length + 1;
        std::str::from_utf8(&rest[..length]).map_err(|_| "the pickle holds text that is not UTF-8".into())
    }

    fn add(&mut self, value: Value) -> Result<Place, String> {
        if self.values.len() + self.copied >= MOST_VALUES {
            return Err(format!("the pickle makes more than {MOST_VALUES} values"));
        }
        self.values.push(value);
        Ok(self.values.len() - 1)
    }

    fn push(&mut self, value: Value) -> Result<(), String> {
        let place = self.add(value)?;
        self.stack.push(place);
        Ok(())
    }

    fn pop(&mut self) -> Result<Place, String> {
        self.stack.pop().ok_or_else(|| "the pickle takes from an empty stack".into())
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Place>, String> {
        let mark = self.stack.iter().rposition(|&place| matches!(self.values[place], Value::Mark)).ok_or("the pickle misses a mark")?;
        let items = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(items)
    }

    fn top(&self) -> Result<Place, String> {
        self.stack.last().copied().ok_or_else(|| "the pickle looks at an empty stack".into())
    }

    fn duplicate(&mut self) -> Result<(), String> {
        let place = self.top()?;
        self.stack.push(place);
        Ok(())
    }

    fn integer(&mut self, code: u8) -> Result<(), String> {
        let little = |bytes: &[u8]| {
            // Two's complement of any length up to eight bytes.
            let sign = if bytes.last().is_some_and(|byte| byte & 0x80 != 0) { 0xff } else { 0 };
            let mut wide = [sign; 8];
            wide[..bytes.len()].copy_from_slice(bytes);
            Value::Integer(i64::from_le_bytes(wide))
        };
        let value = match code {
            b'J' => little(&self.array::<4>()?),
            b'K' => Value::Integer(i64::from(self.array::<1>()?[0])),
            b'M' => Value::Integer(i64::from(u16::from_le_bytes(self.array()?))),
            0x8a | 0x8b => {
                let length = if code == 0x8a { u64::from(self.array::<1>()?[0]) } else { u64::from(u32::from_le_bytes(self.array()?)) };
                let bytes = self.take(length)?;
                if bytes.len() <= 8 { little(bytes) } else { Value::Long(bytes.to_vec()) }
            }
            _ => match self.line()? {
                "00" | "01" if code == b'I' => Value::Nothing,
                text => Value::Integer(text.trim_end_matches('L').parse().map_err(|_| "the pickle holds a number that is none")?),
            },
        };
        self.push(value)
    }

    fn bytes(&mut self, code: u8) -> Result<&'a [u8], String> {
        let length = match code {
            0x8c | b'U' | b'C' => u64::from(self.array::<1>()?[0]),
            b'X' | b'T' | b'B' => u64::from(u32::from_le_bytes(self.array()?)),
            _ => u64::from_le_bytes(self.array()?),
        };
        self.take(length)
    }

    fn text(&mut self, code: u8) -> Result<(), String> {
        let text = if code == b'V' {
            self.line()?
        } else {
            std::str::from_utf8(self.bytes(code)?).map_err(|_| "the pickle holds text that is not UTF-8")?
        };
        self.push(Value::Text(text.into()))
    }

    fn extend(&mut self, items: Vec<Place>) -> Result<(), String> {
        let place = self.top()?;
        match &mut self.values[place] {
            Value::Sequence(list) => list.extend(items),
            _ => return Err("the pickle appends to what is no list".into()),
        }
        Ok(())
    }

    fn set(&mut self, items: &[Place]) -> Result<(), String> {
        let place = self.top()?;
        match &mut self.values[place] {
            Value::Dict(entries) if items.len().is_multiple_of(2) => entries.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1]))),
            _ => return Err("the pickle sets items of what is no dictionary".into()),
        }
        Ok(())
    }

    /// The number of a memo entry: a decimal line, a byte, or four.
    fn memo_key(&mut self, code: u8) -> Result<u64, String> {
        match code {
            b'p' | b'g' => self.line()?.parse().map_err(|_| "the pickle holds a number that is none".into()),
            b'q' | b'h' => Ok(u64::from(self.array::<1>()?[0])),
            b'r' | b'j' => Ok(u64::from(u32::from_le_bytes(self.array()?))),
            _ => Ok(self.memo.len() as u64),
        }
    }

    fn remember(&mut self, code: u8) -> Result<(), String> {
        let (key, place) = (self.memo_key(code)?, self.top()?);
        self.memo.insert(key, place);
        Ok(())
    }

    fn recall(&mut self, code: u8) -> Result<(), String> {
        let key = self.memo_key(code)?;
        let place = *self.memo.get(&key).ok_or("the pickle recalls what it never stored")?;
        self.stack.push(place);
        Ok(())
    }

    fn global(&mut self, code: u8) -> Result<(), String> {
        let (module, name) = if code == b'c' {
            (self.line()?.to_owned(), self.line()?.to_owned())
        } else {
            let (name, module) = (self.pop()?, self.pop()?);
            match (&self.values[module], &self.values[name]) {
                (Value::Text(module), Value::Text(name)) => (module.to_string(), name.to_string()),
                _ => return Err("the pickle names a global without text".into()),
            }
        };
        let global = Global::find(&module, &name)
            .ok_or_else(|| format!("it asks for {}.{}, which weights don't need; nothing was run", shown(&module), shown(&name)))?;
        self.push(Value::Global(global))
    }

    /// A call is only ever a description of a tensor, or an empty dictionary.
    fn call(&mut self) -> Result<(), String> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        let arguments = self.sequence(arguments)?.iter().copied().take(MOST_EXTENTS).collect::<Vec<_>>();
        let Value::Global(global) = self.values[callable] else { return Err("the pickle calls what is no function".into()) };
        let first = || arguments.first().copied().ok_or("the pickle calls with too few arguments");
        match global {
            Global::OrderedDict if arguments.is_empty() => self.push(Value::Dict(Vec::new())),
            Global::OrderedDict => {
                let wanted = self.copied + self.sequence(first()?)?.len();
                if wanted > MOST_VALUES {
                    return Err(format!("the pickle makes more than {MOST_VALUES} values"));
                }
                self.copied = wanted;
                let pairs = self.sequence(first()?)?.to_vec();
                let entries = pairs.into_iter().map(|pair| match self.sequence(pair)? {
                    [key, value] => Ok((*key, *value)),
                    _ => Err("the pickle makes a dictionary of what are no pairs".to_owned()),
                });
                let entries = entries.collect::<Result<Vec<_>, _>>()?;
                self.push(Value::Dict(entries))
            }
            // The value itself stands for what is wrapped round it.
            Global::RebuildParameter | Global::Size => {
                let place = first()?;
                self.stack.push(place);
                Ok(())
            }
            Global::RebuildTensor | Global::RebuildTensorOfType => {
                let tensor = self.tensor(&arguments, global == Global::RebuildTensorOfType)?;
                self.push(Value::Tensor(tensor))
            }
            Global::Element(_) => Err("the pickle calls a type".into()),
        }
    }

    fn tensor(&self, arguments: &[Place], typed: bool) -> Result<Tensor, String> {
        let [storage, offset, shape, strides, rest @ ..] = arguments else {
            return Err("the pickle describes a tensor with too few arguments".into());
        };
        let Value::Storage(storage) = self.values[*storage].clone() else { return Err("the pickle describes a tensor without a storage".into()) };
        let element = if typed {
            match rest.get(2).map(|&place| &self.values[place]) {
                Some(Value::Global(Global::Element(element))) => *element,
                _ => return Err("the pickle describes a tensor without a type".into()),
            }
        } else {
            storage.element
        };
        Ok(Tensor { storage, element, offset: self.count(*offset)?, shape: self.counts(*shape)?, strides: self.counts(*strides)? })
    }

    fn sequence(&self, place: Place) -> Result<&[Place], String> {
        match &self.values[place] {
            Value::Sequence(items) => Ok(items),
            _ => Err("the pickle gives something else where a sequence is wanted".into()),
        }
    }

    fn count(&self, place: Place) -> Result<u64, String> {
        match self.values[place] {
            Value::Integer(value) if value >= 0 => Ok(value as u64),
            _ => Err("the pickle gives something else where a count is wanted".into()),
        }
    }

    fn counts(&self, place: Place) -> Result<Vec<u64>, String> {
        let items = self.sequence(place)?;
        if items.len() > MOST_EXTENTS {
            return Err(format!("the pickle describes a tensor of {} extents", items.len()));
        }
        items.iter().map(|&item| self.count(item)).collect()
    }

    /// A persistent id: `("storage", class, key, device, count, view)`.
    fn storage(&mut self) -> Result<(), String> {
        let id = self.pop()?;
        let wrong = || "the pickle refers to something that is no storage".to_owned();
        let [kind, class, key, _device, count, view @ ..] = self.sequence(id)? else { return Err(wrong()) };
        let storage = match (&self.values[*kind], &self.values[*class], &self.values[*key]) {
            (Value::Text(kind), Value::Global(Global::Element(element)), Value::Text(key)) if **kind == *"storage" => {
                let element: Element = *element;
                Storage { element, key: key.clone(), count: self.count(*count)? }
            }
            _ => return Err(wrong()),
        };
        if view.iter().any(|&view| !matches!(self.values[view], Value::Nothing)) {
            return Err("it holds a view of a storage, as very old PyTorch wrote; save it again".into());
        }
        self.push(Value::Storage(storage))
    }
}

/// A hostile name, short and without control characters.
fn shown(name: &str) -> String {
    name.chars().take(80).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
