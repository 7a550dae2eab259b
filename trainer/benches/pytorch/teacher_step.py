"""Time of one teacher step in PyTorch: the network, batch and optimiser of `fledge bench train`.

The network is Fledge's Conformer (LayerNorm, rotary positions, dropout, 3-frame convolutions of
stride 2 in front), its loss CTC on the last and on the middle block, its optimiser AdamW with
clipping. The batch is synthetic: `--utterances` of `--seconds` each, one transcript of
`--labels` labels a second. Prints one JSON object.

    python3 -m venv venv && venv/bin/pip install torch
    venv/bin/python trainer/benches/pytorch/teacher_step.py --d-model 192 --threads 2
"""

import argparse
import json
import resource
import time

import torch
import torch.nn.functional as F
from torch import nn


def rotate(x, cos, sin):
    half = x.shape[-1] // 2
    return x * cos + torch.cat([x[..., half:], x[..., :half]], -1) * sin


class FeedForward(nn.Module):
    def __init__(self, d_model, d_ffn, dropout):
        super().__init__()
        self.norm = nn.LayerNorm(d_model)
        self.up = nn.Linear(d_model, d_ffn)
        self.down = nn.Linear(d_ffn, d_model)
        self.dropout = dropout

    def forward(self, x):
        x = F.dropout(F.silu(self.up(self.norm(x))), self.dropout, self.training)
        return F.dropout(self.down(x), self.dropout, self.training)


class Attention(nn.Module):
    def __init__(self, d_model, n_heads, dropout):
        super().__init__()
        self.norm = nn.LayerNorm(d_model)
        self.qkv = nn.Linear(d_model, 3 * d_model)
        self.out = nn.Linear(d_model, d_model)
        self.n_heads = n_heads
        self.dropout = dropout

    def forward(self, x, cos, sin):
        batch, time, d_model = x.shape
        qkv = self.qkv(self.norm(x)).view(batch, time, 3, self.n_heads, -1)
        q, k, v = (part.transpose(1, 2) for part in qkv.unbind(2))
        dropout = self.dropout if self.training else 0.0
        x = F.scaled_dot_product_attention(
            rotate(q, cos, sin), rotate(k, cos, sin), v, dropout_p=dropout
        )
        x = self.out(x.transpose(1, 2).reshape(batch, time, d_model))
        return F.dropout(x, self.dropout, self.training)


class Convolution(nn.Module):
    def __init__(self, d_model, kernel, dropout):
        super().__init__()
        self.norm_in = nn.LayerNorm(d_model)
        self.gate = nn.Linear(d_model, 2 * d_model)
        self.depthwise = nn.Conv1d(d_model, d_model, kernel, padding=kernel // 2, groups=d_model)
        self.norm = nn.LayerNorm(d_model)
        self.out = nn.Linear(d_model, d_model)
        self.dropout = dropout

    def forward(self, x):
        x = F.glu(self.gate(self.norm_in(x)))
        x = self.depthwise(x.transpose(1, 2)).transpose(1, 2)
        x = F.silu(self.norm(x))
        return F.dropout(self.out(x), self.dropout, self.training)


class Block(nn.Module):
    def __init__(self, args):
        super().__init__()
        self.ffn1 = FeedForward(args.d_model, args.d_ffn, args.dropout)
        self.attention = Attention(args.d_model, args.n_heads, args.dropout)
        self.conv = Convolution(args.d_model, args.conv_kernel, args.dropout)
        self.ffn2 = FeedForward(args.d_model, args.d_ffn, args.dropout)
        self.norm = nn.LayerNorm(args.d_model)

    def forward(self, x, cos, sin):
        x = x + 0.5 * self.ffn1(x)
        x = x + self.attention(x, cos, sin)
        x = x + self.conv(x)
        x = x + 0.5 * self.ffn2(x)
        return self.norm(x)


class Conformer(nn.Module):
    def __init__(self, args):
        super().__init__()
        widths = [args.n_mels] + [args.d_model] * (3 if args.subsampling == 8 else 2)
        self.convs = nn.ModuleList(
            nn.Conv1d(c_in, c_out, 3, stride=2, padding=1)
            for c_in, c_out in zip(widths, widths[1:])
        )
        self.norm = nn.LayerNorm(args.d_model)
        self.blocks = nn.ModuleList(Block(args) for _ in range(args.n_layers))
        self.head = nn.Linear(args.d_model, args.vocab)
        self.dropout = args.dropout
        self.d_head = args.d_model // args.n_heads

    def forward(self, x):
        x = (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True, unbiased=False) + 1e-3).sqrt()
        for index, conv in enumerate(self.convs):
            x = F.gelu(conv(x.transpose(1, 2)).transpose(1, 2))
            if index == 0:
                x = self.norm(x)
        half = self.d_head // 2
        rates = 10000.0 ** (-torch.arange(half) / half)
        angles = torch.arange(x.shape[1])[:, None] * rates
        cos = torch.cat([angles.cos(), angles.cos()], 1)
        sin = torch.cat([-angles.sin(), angles.sin()], 1)
        x = F.dropout(x, self.dropout, self.training)
        hidden = []
        for block in self.blocks:
            x = block(x, cos, sin)
            hidden.append(x)
        return hidden


def main():
    parser = argparse.ArgumentParser()
    for name, default in [
        ("d-model", 128), ("n-layers", 4), ("n-heads", 4), ("d-ffn", 256), ("conv-kernel", 15),
        ("subsampling", 4), ("vocab", 29), ("n-mels", 80), ("utterances", 16), ("labels", 12),
        ("steps", 5), ("threads", 2),
    ]:
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--intermediate", type=float, default=0.3)
    parser.add_argument("--bf16", action="store_true", help="products in bf16 (autocast)")
    args = parser.parse_args()
    torch.manual_seed(1)
    torch.set_num_threads(args.threads)

    model = Conformer(args).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.98), fused=True)
    frames = round(args.seconds * 100)
    features = torch.randn(args.utterances, frames, args.n_mels)
    num_labels = round(args.seconds * args.labels)
    targets = torch.randint(1, args.vocab, (args.utterances, num_labels))

    def ctc(hidden):
        log_probs = F.log_softmax(model.head(hidden.float()), 2).transpose(0, 1)
        lengths = torch.full((args.utterances,), log_probs.shape[0])
        target_lengths = torch.full((args.utterances,), num_labels)
        return F.ctc_loss(log_probs, targets, lengths, target_lengths, zero_infinity=True)

    def step():
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.bf16):
            hidden = model(features)
        loss = ctc(hidden[-1])
        if args.intermediate > 0:
            middle = ctc(hidden[args.n_layers // 2 - 1])
            loss = loss * (1 - args.intermediate) + middle * args.intermediate
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    step()
    wall, cpu = [], []
    for _ in range(args.steps):
        start_wall, start_cpu = time.perf_counter(), time.process_time()
        step()
        wall.append(time.perf_counter() - start_wall)
        cpu.append(time.process_time() - start_cpu)
    a = torch.randn(512, 512)
    rates = []
    for threads in (1, args.threads):
        torch.set_num_threads(threads)
        best = float("inf")
        for _ in range(200):
            start = time.perf_counter()
            a @ a
            best = min(best, time.perf_counter() - start)
        rates.append(2 * 512**3 / best * 1e-9)
    audio = args.utterances * args.seconds
    print(json.dumps({
        "torch": torch.__version__,
        "parameters": sum(p.numel() for p in model.parameters()),
        "threads": args.threads,
        "bf16": args.bf16,
        "step_ms": round(min(wall) * 1e3, 1),
        "step_cpu_ms": round(min(cpu) * 1e3, 1),
        "audio_secs_per_sec": round(audio / min(wall), 1),
        "matmul_gflops_one_core": round(rates[0], 1),
        "matmul_gflops_all": round(rates[1], 1),
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }))


if __name__ == "__main__":
    main()
