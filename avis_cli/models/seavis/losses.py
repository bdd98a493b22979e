"""What the embeddings of SeaVIS are trained on: to know an object again, and to lie near the sound of it.

Audio-guided contrastive learning on two levels (arXiv 2603.01431) and the embedding loss of CTVIS (Ying et al., ICCV
2023, section 3.3); temperatures and how the parts are sampled are our reconstruction.
Letters: B clips, T token frames in order, Q frame queries, O object slots, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

TEMPERATURE = 0.07
LOWEST = -1e9  # a logit of what does not count; with infinities the gradients of an empty sum are not numbers
MEMORY_SHARE = 0.5  # of the pairs whose positive is the memory, the others' is the last embedding


@dataclass(frozen=True, eq=False)
class ObjectEmbeddings:
    """Which embeddings are an object's. ``embed`` (B, T, Q, C) of all queries; ``sounding`` (B, T, O): the query that
    is the object where it sounds, negative elsewhere; ``silent`` (B, T, O): the query nearest to it where it is seen
    and silent, negative elsewhere; ``anchor`` (B, T, C): the sound's, of length 1."""

    embed: Tensor
    sounding: Tensor
    silent: Tensor
    anchor: Tensor

    def of(self, queries: Tensor) -> Tensor:
        """The embeddings of ``queries`` (B, T, O), any where negative -> (B, T, O, C)."""
        index = queries.clamp(min=0).unsqueeze(-1).expand(*queries.shape, self.embed.shape[-1])
        return self.embed.gather(2, index)

    @property
    def is_positive(self) -> Tensor:
        """(B, T, Q) bool: the queries that are a sounding object."""
        B, T, Q, _ = self.embed.shape
        hits = torch.zeros(B, T, Q + 1, dtype=torch.bool, device=self.embed.device)
        place = torch.where(self.sounding >= 0, self.sounding, Q)
        return hits.scatter(2, place, True)[..., :Q]


def frame_contrast(objects: ObjectEmbeddings) -> Tensor:
    """Within each frame the sound attracts the embeddings of what sounds and repels all others: InfoNCE, the mean over
    what sounds (scalar)."""
    logits = torch.einsum("btqc,btc->btq", F.normalize(objects.embed, dim=-1), objects.anchor) / TEMPERATURE
    positive = objects.is_positive
    against = logits.masked_fill(positive, LOWEST).logsumexp(-1, keepdim=True)  # (B, T, 1)
    each = F.softplus(against - logits)
    return (each * positive).sum() / positive.sum().clamp(min=1)


def instance_contrast(objects: ObjectEmbeddings) -> Tensor:
    """The mean sound of the frames in which an object sounds attracts its embeddings there, and repels those of its
    silent frames (scalar); objects without either are left out."""
    on, off = objects.sounding >= 0, objects.silent >= 0  # (B, T, O)
    weights = on.float() / on.sum(1, keepdim=True).clamp(min=1)
    anchor = F.normalize(torch.einsum("bto,btc->boc", weights, objects.anchor), dim=-1)

    def logits(queries: Tensor) -> Tensor:
        return torch.einsum("btoc,boc->bto", F.normalize(objects.of(queries), dim=-1), anchor) / TEMPERATURE

    # where there is no negative the sum is of nothing: the object is left out below
    against = logits(objects.silent).masked_fill(~off, LOWEST).logsumexp(1, keepdim=True)  # (B, 1, O)
    counted = on & off.any(1, keepdim=True)
    each = F.softplus(against - logits(objects.sounding))
    return (each * counted).sum() / counted.sum().clamp(min=1)


def recognition(objects: ObjectEmbeddings, memory_share: float = MEMORY_SHARE) -> tuple[Tensor, Tensor]:
    """Each object's embedding against those of the frame before in which it sounded: log(1 + sum exp(v.k- - v.k+)), and
    the mean square of cosine less label (scalars).

    k+: the memory of the frames before, or the last embedding, by chance; k-: the other queries of that frame.
    """
    embed, sounding = objects.embed, objects.sounding
    B, T, slots = sounding.shape
    own = objects.of(sounding)
    zero = embed.sum() * 0
    contrasts, cosines, counts = [zero], [zero], 0
    memory = torch.zeros_like(own[:, 0])  # (B, O, C)
    frames_seen = torch.zeros(B, slots, device=embed.device)
    last = torch.full((B, slots), -1, dtype=torch.int64, device=embed.device)  # frame in which it sounded last
    for t in range(T):
        here = sounding[:, t] >= 0
        b, o = (here & (last >= 0)).nonzero(as_tuple=True)
        if len(b):
            before = last[b, o]
            v, others = own[b, t, o], embed[b, before]  # (R, C), (R, Q, C)
            same = F.one_hot(sounding[b, before, o], others.shape[1]).bool()
            use_memory = torch.rand(len(b), device=embed.device) < memory_share
            key = torch.where(use_memory[:, None], memory[b, o], own[b, before, o])
            products = torch.einsum("rqc,rc->rq", others, v).masked_fill(same, LOWEST)
            contrasts.append(F.softplus(products.logsumexp(-1) - (v * key).sum(-1)).sum())
            alike = F.cosine_similarity(others, v[:, None], dim=-1)
            cosines.append((alike - same.float()).square().mean(-1).sum())
            counts += len(b)
        memory = torch.where(here[..., None], _remembered(memory, own[:, t], frames_seen), memory)
        frames_seen = frames_seen + here
        last = torch.where(here, t, last)
    count = max(counts, 1)
    return torch.stack(contrasts).sum() / count, torch.stack(cosines).sum() / count


def _remembered(memory: Tensor, embed: Tensor, seen: Tensor) -> Tensor:
    """``memory`` (B, O, C) with one embedding more, the more of it the more alike they are; the first whole."""
    share = F.cosine_similarity(memory, embed, dim=-1).clamp(min=0).detach()
    share = torch.where(seen > 0, share, 1.0)[..., None]
    return (1 - share) * memory + share * embed


@torch.no_grad()
def silent_by_masks(mask_logits: Tensor, masks: Tensor, seen: Tensor, sounding: Tensor, is_positive: Tensor) -> Tensor:
    """The query that draws a silent object best, by the truth of its mask: (B, T, O), negative where it is not seen or
    sounds. ``mask_logits`` (B, T, Q, h, w), ``masks`` (B, T, O, H, W), ``seen`` and ``sounding`` (B, T, O) of booleans,
    ``is_positive`` (B, T, Q): queries that are a sounding object, which are no silent one's."""
    chance = mask_logits[..., ::2, ::2].float().sigmoid().flatten(3)
    size = mask_logits.shape[-2:]
    if masks.shape[-2:] != size:  # targets that are compared at points are of the frames' own size
        masks = F.adaptive_avg_pool2d(masks.flatten(0, 1), (size[0], size[1])).unflatten(0, masks.shape[:2])
    truth = masks[..., ::2, ::2].flatten(3)
    common = torch.einsum("btqp,btop->btoq", chance, truth)
    dice = 2 * common / (chance.sum(-1)[:, :, None] + truth.sum(-1)[..., None] + 1.0)
    best = dice.masked_fill(is_positive[:, :, None], -1.0).argmax(-1)
    return torch.where(seen & ~sounding, best, -1)


@torch.no_grad()
def silent_by_likeness(embed: Tensor, queries: Tensor, seen: Tensor, is_positive: Tensor) -> Tensor:
    """The query most like the object's embeddings where it sounds: (B, T, O), negative where it sounds, is not ``seen``
    or never sounds; for data in which silent objects are not marked. ``queries`` (B, T, O): where it sounds."""
    on = queries >= 0
    normal = F.normalize(embed, dim=-1)
    index = queries.clamp(min=0).unsqueeze(-1).expand(*queries.shape, embed.shape[-1])
    own = F.normalize((normal.gather(2, index) * on.unsqueeze(-1)).sum(1), dim=-1)  # (B, O, C)
    alike = torch.einsum("btqc,boc->btoq", normal, own).masked_fill(is_positive[:, :, None], -2.0)
    return torch.where(seen & ~on & on.any(1, keepdim=True), alike.argmax(-1), -1)
