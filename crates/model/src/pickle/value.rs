use crate::stored::ElementType;
use std::rc::Rc;

/// A value's place among all values of a pickle: values refer to each other by place, so that no nesting is too deep to drop.
pub(super) type Place = usize;

/// What a pickle builds.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// `None`, truth values, floats, bytes: what weights have no use for.
    Nothing,
    Integer(i64),
    /// An integer of more than eight bytes, little-endian.
    Long(Vec<u8>),
    Text(Rc<str>),
    /// A tuple, list or set.
    Sequence(Vec<Place>),
    Dict(Vec<(Place, Place)>),
    Global(Global),
    Storage(Storage),
    Tensor(Tensor),
    Mark,
}

/// The names that a pickle of weights may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildTensorOfType,
    RebuildParameter,
    Size,
    /// The class of a storage, or a type.
    Element(Element),
}

/// A type of elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) kind: ElementType,
    pub(super) bytes: usize,
}

/// A run of elements in the file.
#[derive(Debug, Clone)]
pub(super) struct Storage {
    pub(super) element: Element,
    pub(super) key: Rc<str>,
    /// Elements.
    pub(super) count: u64,
}

/// A view of a storage.
#[derive(Debug, Clone)]
pub(super) struct Tensor {
    pub(super) storage: Storage,
    pub(super) element: Element,
    /// Elements before the first.
    pub(super) offset: u64,
    pub(super) shape: Vec<u64>,
    pub(super) strides: Vec<u64>,
}

impl Global {
    /// What `module.name` stands for, if weights need it.
    pub(super) fn find(module: &str, name: &str) -> Option<Self> {
        let element = |kind, bytes| Some(Self::Element(Element { kind, bytes }));
        match (module, name) {
            ("collections", "OrderedDict") => Some(Self::OrderedDict),
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Some(Self::RebuildTensor),
            ("torch._utils", "_rebuild_tensor_v3") => Some(Self::RebuildTensorOfType),
            ("torch._utils", "_rebuild_parameter") => Some(Self::RebuildParameter),
            ("torch", "Size") => Some(Self::Size),
            ("torch", "FloatStorage" | "float32") => element(ElementType::F32, 4),
            ("torch", "HalfStorage" | "float16") => element(ElementType::F16, 2),
            ("torch", "BFloat16Storage" | "bfloat16") => element(ElementType::Bf16, 2),
            ("torch", "DoubleStorage" | "float64") => element(ElementType::F64, 8),
            ("torch", "LongStorage" | "int64" | "uint64") => element(ElementType::Other, 8),
            ("torch", "IntStorage" | "int32" | "uint32") => element(ElementType::Other, 4),
            ("torch", "ShortStorage" | "int16" | "uint16") => element(ElementType::Other, 2),
            ("torch", "CharStorage" | "ByteStorage" | "BoolStorage" | "int8" | "uint8" | "bool") => element(ElementType::Other, 1),
            ("torch.storage", "UntypedStorage") | ("torch", "UntypedStorage") => element(ElementType::Other, 1),
            _ => None,
        }
    }
}
