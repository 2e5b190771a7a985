"""PyTorch's side of tools/bench/finetune.ts: `torch_loop.py <task>`, one JSON line at the end."""

import json
import resource
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

task = json.loads(sys.argv[1])
torch.manual_seed(0)
torch.set_num_threads(1)
hidden, inner, heads, kv_heads = (task[k] for k in ("hidden", "inner", "heads", "kvHeads"))
head_dim = hidden // heads


class Tuned(nn.Module):
    """A frozen linear layer with a low-rank part."""

    def __init__(self, width, out):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out, width) * 0.02, requires_grad=False)
        self.a = nn.Parameter((torch.rand(task["rank"], width) * 2 - 1) / width**0.5)
        self.b = nn.Parameter(torch.zeros(out, task["rank"]))

    def forward(self, x):
        return F.linear(x, self.weight) + F.linear(F.linear(x, self.a), self.b)


class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(hidden), requires_grad=False)

    def forward(self, x):
        return F.rms_norm(x, (hidden,), self.weight, 1e-5)


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.before, self.between = Norm(), Norm()
        self.q, self.o = Tuned(hidden, hidden), Tuned(hidden, hidden)
        self.k, self.v = Tuned(hidden, kv_heads * head_dim), Tuned(hidden, kv_heads * head_dim)
        self.gate, self.up = Tuned(hidden, inner), Tuned(hidden, inner)
        self.down = Tuned(inner, hidden)

    def forward(self, x, cos, sin):
        rows, length, _ = x.shape
        h = self.before(x)
        q = rotate(self.q(h).view(rows, length, heads, head_dim).transpose(1, 2), cos, sin)
        k = rotate(self.k(h).view(rows, length, kv_heads, head_dim).transpose(1, 2), cos, sin)
        v = self.v(h).view(rows, length, kv_heads, head_dim).transpose(1, 2)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        x = x + self.o(mixed.transpose(1, 2).reshape(rows, length, hidden))
        h = self.between(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


embedding = nn.Parameter(torch.randn(task["vocabulary"], hidden) * 0.02, requires_grad=False)
blocks = nn.ModuleList([Block() for _ in range(task["layers"])])
last = Norm()
parameters = [p for p in blocks.parameters() if p.requires_grad]
optimizer = torch.optim.AdamW(parameters, lr=task["learningRate"], betas=(0.9, 0.95), weight_decay=0)

stream = torch.tensor([(i * 7919) % task["vocabulary"] for i in range(task["tokens"] + 1)])
ids, targets = stream[None, :-1], stream[1:]
angles = torch.outer(torch.arange(task["tokens"]), 10000 ** (-torch.arange(0, head_dim, 2) / head_dim))
cos, sin = angles.cos(), angles.sin()

losses, wall, cpu = [], [], []
for _ in range(task["steps"]):
    start = time.perf_counter(), time.process_time()
    x = F.embedding(ids, embedding)
    for block in blocks:
        x = block(x, cos, sin)
    loss = F.cross_entropy(F.linear(last(x), embedding)[0], targets)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
    losses.append(loss.item())
    wall.append(time.perf_counter() - start[0])
    cpu.append(time.process_time() - start[1])

peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"seconds": min(wall[1:]), "cpuSeconds": min(cpu[1:]), "bytes": peak, "losses": losses}))
