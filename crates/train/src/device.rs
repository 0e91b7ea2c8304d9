use crate::TrainError;
use candle_core::{DType, Device};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// Where the graph runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// The processor.
    Cpu,
    /// An NVIDIA GPU, with the feature `cuda`.
    Cuda,
    /// An Apple GPU, with the feature `metal`.
    Metal,
}

impl DeviceKind {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::Metal => "metal",
        }
    }

    /// The first GPU that this program was built for and that this machine has, else the processor; and why.
    pub fn detect() -> (Self, &'static str) {
        if open(Self::Cuda).is_ok() {
            (Self::Cuda, "an NVIDIA GPU was found")
        } else if open(Self::Metal).is_ok() {
            (Self::Metal, "an Apple GPU was found")
        } else if cfg!(any(feature = "cuda", feature = "metal")) {
            (Self::Cpu, "no GPU was found")
        } else {
            (Self::Cpu, "this attackline was built without the features cuda and metal")
        }
    }
}

/// The type that the graph computes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FloatType {
    /// 32 bits.
    F32,
    /// 16 bits with f32's range.
    Bf16,
    /// 16 bits, IEEE half precision.
    F16,
}

impl FromStr for FloatType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "f32" => Ok(Self::F32),
            "bf16" => Ok(Self::Bf16),
            "f16" => Ok(Self::F16),
            _ => Err("f32, bf16 or f16 is wanted".into()),
        }
    }
}

impl From<FloatType> for DType {
    fn from(float: FloatType) -> Self {
        match float {
            FloatType::F32 => Self::F32,
            FloatType::Bf16 => Self::BF16,
            FloatType::F16 => Self::F16,
        }
    }
}

/// The device itself.
pub(crate) fn open(kind: DeviceKind) -> Result<Device, TrainError> {
    let device = match kind {
        DeviceKind::Cpu => Ok(Device::Cpu),
        DeviceKind::Cuda => Device::new_cuda(0),
        DeviceKind::Metal => Device::new_metal(0),
    };
    device.map_err(|error| TrainError::Device { device: kind.name(), reason: reason(kind, &error.to_string()) })
}

fn reason(kind: DeviceKind, error: &str) -> String {
    let built = match kind {
        DeviceKind::Cpu => true,
        DeviceKind::Cuda => cfg!(feature = "cuda"),
        DeviceKind::Metal => cfg!(feature = "metal"),
    };
    if built { error.to_owned() } else { format!("this attackline was built without it; build with --features {}", kind.name()) }
}
