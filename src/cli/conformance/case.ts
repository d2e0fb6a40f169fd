import { z } from 'zod'
import { joinPath, readBytes, readText, walkFiles } from '#platform'
import { LatentkitError } from '../../platform/errors.js'
import { type TypedArray, toTypedArray } from '../../weights/dtypes.js'
import { readSafetensors } from '../../weights/safetensors.js'

/** A tensor of a case's file; small floats are widened to float32. */
export interface StoredTensor {
  /** As in the file, such as `F32` or `I64`. */
  readonly dtype: string
  readonly shape: readonly number[]
  readonly data: TypedArray
}

const description = z.looseObject({
  kind: z.string(),
  what: z.string().default(''),
  source: z.array(z.looseObject({ object: z.string().optional() })).default([]),
  config: z.record(z.string(), z.unknown()).default({}),
  files: z.record(z.string(), z.looseObject({ role: z.string() })),
  tolerance: z.looseObject({ rule: z.string() }),
})

export type CaseDescription = z.infer<typeof description>

/** One case of a reference folder: its `case.json` and access to the files that this lists. */
export interface Case extends CaseDescription {
  /** Path of the case's folder below the conformance folder, with `/`. */
  readonly path: string
  /** Names of the `source` objects, such as `DDIMSampler.sample`, all joined by commas. */
  readonly objects: string
  /** The files of a role, as `case.json` names them. */
  filesOf(role: string): string[]
  /** The path or address of a listed file. */
  locate(file: string): string
  bytes(file: string): Promise<Uint8Array>
  json(file: string): Promise<unknown>
  /** All tensors of a .safetensors file. */
  tensors(file: string): Promise<Map<string, StoredTensor>>
  /** A tensor of the files of role `input`, whichever holds it; throws LatentkitError where none does. */
  input(tensor: string): Promise<StoredTensor>
  /** The first other case of the folder whose description fits; throws LatentkitError where none does. */
  sibling(fits: (description: CaseDescription) => boolean, what: string): Promise<Case>
  /** The files read so far: a layout of role `extra` that was never read was not checked. */
  readonly filesRead: ReadonlySet<string>
}

/** Paths of the folders below `folder` that hold a `case.json`, in the order of their names. */
export async function* findCases(folder: string): AsyncGenerator<string> {
  for await (const { relativePath } of walkFiles(folder)) {
    if (relativePath === 'case.json') yield ''
    else if (relativePath.endsWith('/case.json')) yield relativePath.slice(0, -'/case.json'.length)
  }
}

/** Reads one case; throws LatentkitError where its `case.json` is none. `paths` are those of all cases. */
export async function openCase(
  folder: string,
  path: string,
  paths: () => Iterable<string> | AsyncIterable<string>,
): Promise<Case> {
  const place = joinPath(folder, path, 'case.json')
  const parsed = description.safeParse(parseJson(await readText(place), place))
  if (!parsed.success) throw new LatentkitError(`${place} is no reference case: ${z.prettifyError(parsed.error)}`)
  const about = parsed.data
  const filesRead = new Set<string>()

  function locate(file: string): string {
    if (!Object.hasOwn(about.files, file)) throw new LatentkitError(`${place} lists no file "${file}"`)
    const parts: string[] = []
    for (const part of `${path}/${file}`.split('/')) {
      if (part === '' || part === '.') continue
      if (part !== '..') parts.push(part)
      else if (parts.pop() === undefined) {
        throw new LatentkitError(`${place} lists "${file}", which lies outside of ${folder}; it is not read`)
      }
    }
    filesRead.add(file)
    return joinPath(folder, ...parts)
  }

  const cached = new Map<string, Promise<Map<string, StoredTensor>>>()
  const self: Case = {
    ...about,
    path,
    objects: about.source.map(({ object }) => object ?? '').join(', '),
    filesRead,
    filesOf: role => Object.keys(about.files).filter(file => about.files[file]!.role === role),
    locate,
    bytes: async file => readBytes(locate(file)),
    json: async file => parseJson(await readText(locate(file)), file),
    tensors(file) {
      let tensors = cached.get(file)
      if (!tensors) cached.set(file, (tensors = readTensors(locate(file))))
      return tensors
    },
    async sibling(fits, what) {
      for await (const other of paths()) {
        const candidate = await openCase(folder, other, paths)
        if (fits(candidate)) return candidate
      }
      throw new LatentkitError(`${place}: no case of ${folder} holds ${what}`)
    },
    async input(name) {
      for (const file of self.filesOf('input')) {
        if (!file.endsWith('.safetensors')) continue
        const found = (await self.tensors(file)).get(name)
        if (found) return found
      }
      throw new LatentkitError(`${place}: no input file holds a tensor "${name}"`)
    },
  }
  return self
}

async function readTensors(place: string): Promise<Map<string, StoredTensor>> {
  const { tensors } = readSafetensors(await readBytes(place), place)
  return new Map(
    [...tensors].map(([name, tensor]) => [
      name,
      { dtype: tensor.dtype, shape: tensor.shape, data: toTypedArray(tensor) },
    ]),
  )
}

function parseJson(text: string, place: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new LatentkitError(`${place} is not JSON: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }
}
