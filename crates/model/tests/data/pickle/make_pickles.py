"""Makes small files of `torch.save` in every form that weights come in, and what they hold.

    pip install torch safetensors
    python make_pickles.py              # writes beside itself
"""

import collections
import pathlib

import torch
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent
torch.manual_seed(3)
base = torch.randn(4, 6)
state = collections.OrderedDict(
    plain=torch.randn(3, 5),
    transposed=base.t(),  # a view with strides
    part=base[1:3, 2:5],  # a view with an offset
    column=base[:, 1:2],
    half=torch.randn(7).half(),
    brain=torch.randn(2, 2).bfloat16(),
    double=torch.randn(3).double(),
    parameter=torch.nn.Parameter(torch.randn(2)),
    scalar=torch.tensor(2.5),
    empty=torch.zeros(0, 3),
    position_ids=torch.arange(5),
    mask=torch.tensor([True, False]),
)
state._metadata = collections.OrderedDict({"": {"version": 1}})

torch.save(state, HERE / "zipped.bin")
torch.save(state, HERE / "zipped4.bin", pickle_protocol=4)
torch.save(state, HERE / "legacy.bin", _use_new_zipfile_serialization=False)
torch.save({"epoch": 3, "loss": 0.5, "state_dict": dict(state), "best": None}, HERE / "nested.bin")
save_file(
    {name: tensor.detach().float().contiguous() for name, tensor in state.items() if tensor.is_floating_point()}, HERE / "expected.safetensors"
)
