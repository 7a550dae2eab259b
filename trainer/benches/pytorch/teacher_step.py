"""Time of one teacher step in PyTorch: the network, batch and optimiser of `fledge bench train`.

The network is Fledge's Conformer (LayerNorm, rotary positions, dropout, 3-frame convolutions of
stride 2 in front), its loss CTC on the last and on the middle block, its optimiser AdamW with
clipping. The batch is synthetic: `--utterances` of `--seconds` each, one transcript of
`--labels` labels a second. Products are in f32 (on CUDA without TF32) unless `--bf16`. Prints one
JSON object for each number of utterances.

    python3 -m venv venv && venv/bin/pip install torch
    venv/bin/python trainer/benches/pytorch/teacher_step.py --d-model 192 --threads 2
    python3 trainer/benches/pytorch/teacher_step.py --device cuda --utterances 8 32 128
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
        rates = 10000.0 ** (-torch.arange(half, device=x.device) / half)
        angles = torch.arange(x.shape[1], device=x.device)[:, None] * rates
        cos = torch.cat([angles.cos(), angles.cos()], 1)
        sin = torch.cat([-angles.sin(), angles.sin()], 1)
        x = F.dropout(x, self.dropout, self.training)
        hidden = []
        for block in self.blocks:
            x = block(x, cos, sin)
            hidden.append(x)
        return hidden


class TeacherStep:
    """One network with its optimiser and a batch of `utterances`."""

    def __init__(self, args, utterances):
        self.args = args
        self.model = Conformer(args).train().to(args.device)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=1e-3, betas=(0.9, 0.98), fused=True
        )
        frames = round(args.seconds * 100)
        num_labels = round(args.seconds * args.labels)
        self.features = torch.randn(utterances, frames, args.n_mels, device=args.device)
        targets = torch.randint(1, args.vocab, (utterances, num_labels))
        self.targets = targets.to(args.device)
        self.target_lengths = torch.full((utterances,), num_labels)

    def ctc(self, hidden):
        log_probs = F.log_softmax(self.model.head(hidden.float()), 2).transpose(0, 1)
        lengths = torch.full((log_probs.shape[1],), log_probs.shape[0])
        return F.ctc_loss(
            log_probs, self.targets, lengths, self.target_lengths, zero_infinity=True
        )

    def run(self):
        args = self.args
        self.optimizer.zero_grad()
        with torch.autocast(args.device, dtype=torch.bfloat16, enabled=args.bf16):
            hidden = self.model(self.features)
        loss = self.ctc(hidden[-1])
        if args.intermediate > 0:
            middle = self.ctc(hidden[args.n_layers // 2 - 1])
            loss = loss * (1 - args.intermediate) + middle * args.intermediate
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()


def synchronize(args):
    if args.device == "cuda":
        torch.cuda.synchronize()


def least_times(args, step):
    """Least wall and processor seconds of a step, the first one not counted."""
    step.run()
    synchronize(args)
    wall, cpu = [], []
    for _ in range(args.steps):
        start_wall, start_cpu = time.perf_counter(), time.process_time()
        step.run()
        synchronize(args)
        wall.append(time.perf_counter() - start_wall)
        cpu.append(time.process_time() - start_cpu)
    return min(wall), min(cpu)


def matmul_gflops(args):
    """Rate of plain products, 512 x 512, on one core and on all threads; or on the GPU."""
    a = torch.randn(512, 512, device=args.device)
    rates = []
    for threads in (1, args.threads):
        torch.set_num_threads(threads)
        best = float("inf")
        for _ in range(200):
            start = time.perf_counter()
            a @ a
            synchronize(args)
            best = min(best, time.perf_counter() - start)
        rates.append(round(2 * 512**3 / best * 1e-9, 1))
    return rates


def peak_memory_bytes(args):
    if args.device == "cuda":
        return torch.cuda.max_memory_reserved()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main():
    parser = argparse.ArgumentParser()
    for name, default in [
        ("d-model", 128), ("n-layers", 4), ("n-heads", 4), ("d-ffn", 256), ("conv-kernel", 15),
        ("subsampling", 4), ("vocab", 29), ("n-mels", 80), ("labels", 12), ("steps", 5),
        ("threads", 2),
    ]:
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--utterances", type=int, nargs="+", default=[16])
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--intermediate", type=float, default=0.3)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--bf16", action="store_true", help="products in bf16 (autocast)")
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("this PyTorch has no CUDA device")
    torch.manual_seed(1)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False

    rates = matmul_gflops(args)
    torch.set_num_threads(args.threads)
    for utterances in args.utterances:
        step = TeacherStep(args, utterances)
        wall, cpu = least_times(args, step)
        audio = utterances * args.seconds
        print(json.dumps({
            "torch": torch.__version__,
            "device": torch.cuda.get_device_name() if args.device == "cuda" else "cpu",
            "parameters": sum(p.numel() for p in step.model.parameters()),
            "threads": args.threads,
            "bf16": args.bf16,
            "batch_secs": audio,
            "step_ms": round(wall * 1e3, 2),
            "step_cpu_ms": round(cpu * 1e3, 2),
            "audio_secs_per_sec": round(audio / wall, 1),
            "matmul_gflops_one_core": rates[0],
            "matmul_gflops_all": rates[1],
            "peak_memory_bytes": peak_memory_bytes(args),
        }), flush=True)


if __name__ == "__main__":
    main()
