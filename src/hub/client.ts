import { z } from 'zod'
import { FileError, LatentkitError } from '../platform/errors.js'
import { isCommit } from './cache.js'
import { checkedPath, type HubName } from './name.js'

/** How to reach a hub, and for how long to try. */
export interface HubAccess {
  readonly endpoint: string
  readonly token: string | undefined
  readonly patience: Patience
  readonly signal: AbortSignal | undefined
}

/** What is done about connections that break. */
export interface Patience {
  /** How often in a row a request may fail without a byte of progress. */
  readonly attempts: number
  /** Milliseconds before the second attempt; each further wait is twice as long, half a minute at most. */
  readonly delay: number
  /** Milliseconds without a byte after which a connection counts as broken. */
  readonly silence: number
}

/** A connection that broke, or a server that is busy: worth another attempt. */
export class Interruption extends FileError {
  override name = 'Interruption'
  /** Seconds that the server asks for. */
  readonly after: number | undefined

  constructor(url: string, reason: string, options: { cause?: unknown; after?: number } = {}) {
    super(url, reason, options)
    this.after = options.after
  }
}

/** What the hub says about a model at a commit. */
export interface Listing {
  readonly commit: string
  readonly files: readonly ListedFile[]
}

export interface ListedFile {
  readonly name: string
  /** Bytes, where the hub tells them. */
  readonly size: number | undefined
}

/** What the hub says about one content. */
export interface Described {
  /** SHA-256 where it lies in large file storage, else what git calls the blob. */
  readonly hash: string
  readonly size: number
}

const listing = z.object({
  sha: z.string().refine(isCommit, 'wanted a commit'),
  siblings: z.array(z.object({ rfilename: z.string(), size: z.int().nonnegative().nullish() })).max(100_000),
})
const longestListing = 64 << 20

/** The commit and files of a model; throws LatentkitError where there is none, or it may not be read. */
export async function listFiles(hub: HubAccess, { id, revision }: HubName): Promise<Listing> {
  const url = `${hub.endpoint}/api/models/${id}/revision/${encodeURIComponent(revision)}?blobs=true`
  const response = await answer(hub, url, { method: 'GET' }, { id, revision })
  const found = listing.safeParse(await jsonOf(response, url))
  if (!found.success) throw new FileError(url, `is no listing of a model: ${z.prettifyError(found.error)}`)
  const { sha, siblings } = found.data
  return {
    commit: sha,
    files: siblings.map(({ rfilename, size }) => ({ name: checkedPath(rfilename, 'file'), size: size ?? undefined })),
  }
}

/** The hash and size of a file, from the headers with which the hub answers before it leads elsewhere. */
export async function describeFile(hub: HubAccess, id: string, commit: string, file: string): Promise<Described> {
  const url = fileUrl(hub, id, commit, file)
  const response = await answer(hub, url, { method: 'HEAD' }, { id, revision: commit, file }, 'here')
  const { headers } = response
  const tag = headers.get('x-linked-etag') ?? headers.get('etag') ?? ''
  const hash = /^(?:W\/)?"?([0-9a-f]{40}|[0-9a-f]{64})"?$/.exec(tag)?.[1]
  const length = headers.get('x-linked-size') ?? (response.ok ? headers.get('content-length') : null)
  const size = Number(length ?? Number.NaN)
  if (hash === undefined || !Number.isSafeInteger(size) || size < 0)
    throw new FileError(
      url,
      `comes without its hash or size (ETag ${JSON.stringify(tag.slice(0, 80))}, length ${length}), by which it must be checked; set HF_ENDPOINT to a hub that tells them`,
    )
  return { hash, size }
}

/** The bytes of a file from `begin` on; `fresh` where the server begins at 0 instead. */
export async function openFile(
  hub: HubAccess,
  { id, commit, file, begin, size }: { id: string; commit: string; file: string; begin: number; size: number },
): Promise<{ body: ReadableStream<Uint8Array>; fresh: boolean }> {
  const url = fileUrl(hub, id, commit, file)
  const headers: Record<string, string> = begin > 0 ? { range: `bytes=${begin}-` } : {}
  const response = await answer(hub, url, { method: 'GET', headers }, { id, revision: commit, file })
  const fresh = response.status === 200
  const range = `bytes ${begin}-${size - 1}/${size}`
  const found = response.headers.get('content-range')
  if (!response.body || (!fresh && (response.status !== 206 || found !== range))) {
    await response.body?.cancel()
    throw new FileError(url, `cannot be gone on with: the server answered ${response.status} (${found}) for ${range}`)
  }
  return { body: response.body, fresh }
}

const fileUrl = ({ endpoint }: HubAccess, id: string, commit: string, file: string): string =>
  `${endpoint}/${id}/resolve/${commit}/${file.split('/').map(encodeURIComponent).join('/')}`

const mostRedirects = 8

/**
 * Asks the hub, and goes where it leads: a renamed model is elsewhere on the hub, a large file on another host. The token
 * goes to the hub alone. With `here` the answer that leads to another host is the one wanted.
 */
async function answer(
  { endpoint, token, signal, patience }: HubAccess,
  url: string,
  { method, headers = {} }: { method: 'GET' | 'HEAD'; headers?: Record<string, string> },
  wanted: HubName,
  upTo: 'here' | 'end' = 'end',
): Promise<Response> {
  const home = new URL(endpoint).origin
  let at = new URL(url)
  for (let redirects = 0; redirects <= mostRedirects; redirects++) {
    const authorization: Record<string, string> =
      at.origin === home && token !== undefined ? { authorization: `Bearer ${token}` } : {}
    let response: Response
    const silent = new AbortController()
    const timer = setTimeout(() => silent.abort(), patience.silence)
    try {
      response = await fetch(at, {
        method,
        // Packed on the way, a file would have other lengths than the hub tells.
        headers: { 'accept-encoding': 'identity', ...headers, ...authorization },
        redirect: 'manual',
        signal: signal ? AbortSignal.any([signal, silent.signal]) : silent.signal,
      })
    } catch (cause) {
      if (signal?.aborted) throw signal.reason
      throw new Interruption(shown(at), 'cannot be reached; check the network, and HF_ENDPOINT where it is set', {
        cause,
      })
    } finally {
      clearTimeout(timer)
    }
    const location = response.headers.get('location')
    if (response.status < 300 || response.status >= 400 || location === null) {
      if (!response.ok) await refuse(response, at, wanted, endpoint)
      return response
    }
    const next = new URL(location, at)
    if (upTo === 'here' && next.origin !== home) return response
    await response.body?.cancel()
    if (!/^https?:$/.test(next.protocol) || (at.protocol === 'https:' && next.protocol === 'http:'))
      throw new FileError(shown(at), `leads to ${shown(next)}, which is less safe than the hub; it was not followed`)
    at = next
  }
  throw new FileError(shown(at), `is led elsewhere more than ${mostRedirects} times`)
}

/** What follows the path of an address on another host is a signature that lets anybody in. */
const shown = ({ origin, pathname }: URL): string => origin + pathname

async function refuse(response: Response, at: URL, { id, revision, file }: HubName, endpoint: string): Promise<never> {
  await response.body?.cancel()
  const { status, headers } = response
  const code = headers.get('x-error-code')
  const model = `${endpoint}/${id}`
  if (status === 408 || status === 425 || status === 429 || status >= 500) {
    const after = Number(headers.get('retry-after') ?? Number.NaN)
    const reason = `is not to be had now: the server answered ${status} ${response.statusText}`
    throw new Interruption(shown(at), reason, after > 0 ? { after } : {})
  }
  if (code === 'GatedRepo')
    throw new LatentkitError(`${id} is given only to who accepted its terms: do so at ${model}, and set HF_TOKEN`)
  if (code === 'RevisionNotFound')
    throw new LatentkitError(`${id} has no revision ${JSON.stringify(revision)}; see ${model}/tree/main`)
  if (code === 'EntryNotFound' || (status === 404 && file !== undefined))
    throw new LatentkitError(`${id} has no file ${JSON.stringify(file)} at ${revision}; see ${model}/tree/${revision}`)
  if (status === 401 || status === 403 || status === 404)
    throw new LatentkitError(
      `There is no model ${id} at ${endpoint}, or it is private (status ${status}): check the name; for a private one set HF_TOKEN`,
    )
  throw new FileError(shown(at), `cannot be fetched: the server answered ${status} ${response.statusText}`)
}

async function jsonOf(response: Response, url: string): Promise<unknown> {
  const pieces: Uint8Array[] = []
  let length = 0
  try {
    for await (const piece of response.body ?? []) {
      length += piece.length
      if (length > longestListing) throw new FileError(url, `answers with more than ${longestListing} bytes`)
      pieces.push(piece)
    }
  } catch (cause) {
    if (cause instanceof FileError) throw cause
    throw new Interruption(url, 'broke off', { cause })
  }
  try {
    return JSON.parse(await new Blob(pieces as BlobPart[]).text())
  } catch (cause) {
    throw new FileError(url, 'answers with no JSON; check HF_ENDPOINT', { cause })
  }
}
