import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What a server was asked. */
export interface Asked {
  readonly host: 'hub' | 'cdn'
  readonly method: string
  readonly path: string
  readonly range: string | undefined
  readonly authorization: string | undefined
}

/** What goes wrong with the contents of one file; each is used up by one request for its bytes. */
export type Fault =
  /** The connection breaks after so many bytes. */
  | { readonly cut: number }
  /** No more bytes come, and the connection stays open. */
  | { readonly stall: number }
  /** The server is busy. */
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  /** Another byte in place of the one at this place. */
  | { readonly damage: number }
  /** Ranges are not known. */
  | 'whole'
  /** More bytes than it should have. */
  | 'longer'

export interface HubServer extends AsyncDisposable {
  readonly endpoint: string
  readonly commit: string
  readonly asked: Asked[]
  /** By file, in the order in which they happen. */
  readonly faults: Record<string, Fault[]>
  /** Headers of a HEAD request that are replaced, by file. */
  readonly headers: Record<string, Record<string, string>>
}

/**
 * A server that speaks the protocol of the Hugging Face hub for one model, `org/name`: files that end in .safetensors lie
 * in large file storage on another origin, the others are what git keeps.
 */
export async function openHubServer(
  files: Readonly<Record<string, Uint8Array>>,
  { token, listing }: { token?: string; listing?: unknown } = {},
): Promise<HubServer> {
  const commit = '0123456789abcdef0123456789abcdef01234567'
  const asked: Asked[] = []
  const faults: Record<string, Fault[]> = {}
  const headers: Record<string, Record<string, string>> = {}
  const isLarge = (file: string) => file.endsWith('.safetensors')
  const note = (host: Asked['host'], request: IncomingMessage) => {
    const { method = '', url = '' } = request
    const { range, authorization } = request.headers
    asked.push({ host, method, path: url, range, authorization })
  }

  const cdn = createServer((request, response) => {
    note('cdn', request)
    const file = new URL(request.url!, 'http://cdn').pathname.slice(1)
    send(request, response, files[file]!, faults[file]?.shift())
  })
  const cdnAt = await listen(cdn)
  const hub = createServer((request, response) => {
    note('hub', request)
    const url = new URL(request.url!, 'http://hub')
    const refuse = (status: number, code: string) => response.writeHead(status, { 'x-error-code': code }).end()
    if (token !== undefined && request.headers.authorization !== `Bearer ${token}`) return refuse(401, 'GatedRepo')
    const path = decodeURIComponent(url.pathname)
    if (path.startsWith('/old/name/')) {
      return response.writeHead(307, { location: url.pathname.replace('/old/name/', '/org/name/') }).end()
    }
    const [, revision] = /^\/api\/models\/(?:org|old)\/name\/revision\/(.+)$/.exec(path) ?? []
    if (revision !== undefined) {
      if (!['main', 'v1', 'refs/pr/1', commit].includes(revision)) return refuse(404, 'RevisionNotFound')
      const fault = faults.listing?.shift()
      if (typeof fault === 'object' && 'status' in fault) return response.writeHead(fault.status, fault.headers).end()
      const siblings = Object.entries(files).map(([rfilename, { length: size }]) => ({ rfilename, size }))
      return response.end(JSON.stringify(listing ?? { id: 'org/name', sha: commit, siblings }))
    }
    const [, at, file] = /^\/org\/name\/resolve\/([^/]+)\/(.+)$/.exec(path) ?? []
    if (at === undefined) return refuse(404, 'RepoNotFound')
    const bytes = files[file!]
    if (bytes === undefined) return refuse(404, 'EntryNotFound')
    const large = isLarge(file!)
    const hash = large ? sha256(bytes) : gitHash(bytes)
    response.setHeader('x-repo-commit', commit)
    if (large) {
      const location = `${cdnAt}/${file}?signature=secret`
      const linked = { location, etag: '"cdn"', 'x-linked-etag': `"${hash}"`, 'x-linked-size': bytes.length }
      return response.writeHead(302, { ...linked, ...headers[file!] }).end()
    }
    response.setHeader('etag', `W/"${hash}"`)
    if (request.method === 'HEAD')
      return response.writeHead(200, { 'content-length': bytes.length, ...headers[file!] }).end()
    send(request, response, bytes, faults[file!]?.shift())
  })
  const endpoint = await listen(hub)
  return {
    endpoint,
    commit,
    asked,
    faults,
    headers,
    async [Symbol.asyncDispose]() {
      for (const server of [hub, cdn]) {
        server.closeAllConnections()
        await new Promise(done => server.close(done))
      }
    },
  }
}

/** The name of a content in large file storage. */
export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** The name that git gives a content. */
export const gitHash = (bytes: Uint8Array): string =>
  createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex')

function send(request: IncomingMessage, response: ServerResponse, bytes: Uint8Array, fault: Fault | undefined): void {
  if (typeof fault === 'object' && 'status' in fault) return void response.writeHead(fault.status, fault.headers).end()
  const begin = fault === 'whole' ? 0 : Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
  let rest = bytes.slice(begin)
  if (fault === 'longer') rest = Uint8Array.from([...rest, 1, 2, 3])
  if (begin > 0)
    response.writeHead(206, {
      'content-range': `bytes ${begin}-${bytes.length - 1}/${bytes.length}`,
      'content-length': rest.length,
    })
  else response.writeHead(200, { 'content-length': rest.length })
  if (typeof fault !== 'object') return void response.end(rest)
  if ('damage' in fault) {
    rest[fault.damage]! ^= 1
    return void response.end(rest)
  }
  if ('stall' in fault) return void response.write(rest.subarray(0, fault.stall))
  response.write(rest.subarray(0, fault.cut), () => setTimeout(() => response.destroy(), 20))
}

async function listen(server: ReturnType<typeof createServer>): Promise<string> {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
