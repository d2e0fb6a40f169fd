import { FileError } from '../../platform/errors.js'
import { rowsOf, stackedRows } from '../stored.js'
import { quoted, type StoredTensor } from '../tensor-file.js'

/*
 * Queries, keys and values of plain attention are one convolution in CompVis' UNet, `qkv`, whose rows are those of one head
 * after the other (openaimodel.py, QKVAttentionLegacy), and three linear layers in diffusers'. In between their names are
 * `qkv.q`, `qkv.k` and `qkv.v`. Source: diffusers, scripts/convert_ldm_original_checkpoint_to_diffusers.py.
 */

type Tensors = ReadonlyMap<string, StoredTensor>

/** How many heads attention over so many channels has. */
export interface Heads {
  readonly num_heads?: number | undefined
  readonly num_head_channels?: number | undefined
}

const parts = ['q', 'k', 'v'] as const

/** Tensors with each three parts of an attention as one; throws FileError where they are not of one kind. */
export function joinedAttention(tensors: Tensors, heads: Heads): Map<string, StoredTensor> {
  const out = new Map<string, StoredTensor>()
  for (const [name, tensor] of tensors) {
    const [, at, part, kind] = /^(.*\.qkv)\.([qkv])\.(weight|bias)$/.exec(name) ?? []
    if (at === undefined) {
      out.set(name, tensor)
      continue
    }
    if (part !== 'q') continue
    const three = parts.map(part => tensors.get(`${at}.${part}.${kind}`))
    if (three.some(other => other?.dtype !== tensor.dtype || String(other.shape) !== String(tensor.shape)))
      throw new FileError(tensor.source.name, `its ${quoted(name)} has no keys and values of the same shape and type`)
    const rows = rowsOfHead(tensor, heads)
    const pieces = Array.from({ length: tensor.shape[0]! / rows }, (_, head) =>
      three.map(part => rowsOf(part!, head * rows, rows)),
    )
    out.set(`${at}.${kind}`, stackedRows(pieces.flat()))
  }
  return out
}

/** The opposite of `joinedAttention`. */
export function splitAttention(tensors: Tensors, heads: Heads): Map<string, StoredTensor> {
  const out = new Map<string, StoredTensor>()
  for (const [name, tensor] of tensors) {
    const [, at, kind] = /^(.*\.qkv)\.(weight|bias)$/.exec(name) ?? []
    if (at === undefined) {
      out.set(name, tensor)
      continue
    }
    const channels = tensor.shape[0]! / 3
    const rows = rowsOfHead({ ...tensor, shape: [channels] }, heads)
    for (const [i, part] of parts.entries()) {
      const pieces = Array.from({ length: channels / rows }, (_, head) => rowsOf(tensor, (3 * head + i) * rows, rows))
      out.set(`${at}.${part}.${kind}`, stackedRows(pieces))
    }
  }
  return out
}

function rowsOfHead({ shape, source }: StoredTensor, { num_heads = -1, num_head_channels = -1 }: Heads): number {
  const channels = shape[0] ?? 0
  const rows = num_head_channels > 0 ? num_head_channels : channels / num_heads
  if (Number.isInteger(rows) && rows > 0 && channels % rows === 0) return rows
  throw new FileError(source.name, `has attention over ${channels} channels, which do not divide into heads of ${rows}`)
}
