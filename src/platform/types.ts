import type { OnnxRuntime } from './onnxruntime.js'
import type { ParquetLibrary } from './parquet.js'
import type { WorkerHandle, WorkerLink } from './worker-link.js'

/** Where bytes come from: a path (Node), a URL, a Blob or File, or bytes already in memory. */
export type SourceLike = string | URL | Blob | Uint8Array

/** Random access to the bytes of one file, so that a checkpoint of gigabytes is never in memory as a whole. */
export interface FileSource {
  /** What messages call it: the path, URL or file name. */
  readonly name: string
  /** Length in bytes. */
  readonly size: number
  /** Its real path where it is a file on a disk. */
  readonly path: string | undefined
  /** Exactly `length` bytes from `offset` on; a RangeError outside the file, a FileError where reading fails. */
  read(offset: number, length: number): Promise<Uint8Array>
  close(): Promise<void>
}

/** What can be written: text as UTF-8, bytes, or pieces of bytes one after the other. */
export type Writable = string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>

export interface FileInfo {
  readonly kind: 'file' | 'folder'
  /** Length in bytes; 0 for a folder. */
  readonly size: number
  /** Time of the last change, milliseconds since 1970. */
  readonly modified: number
}

export interface FolderEntry extends FileInfo {
  readonly name: string
  readonly path: string
}

export interface WalkedFile extends FolderEntry {
  /** Path below the walked folder, with `/` on every system. */
  readonly relativePath: string
}

export interface Processor {
  readonly name: string
  /** Threads that this process may use. */
  readonly threads: number
  /** Bytes of memory that this process may use; 0 where unknown (browsers). */
  readonly memory: number
}

/** Pixels as a codec gives them: 8 bits a channel, row by row, RGB or RGBA. */
export interface DecodedImage {
  readonly data: Uint8Array | Uint8ClampedArray
  readonly width: number
  readonly height: number
  readonly channels: 3 | 4
}

/** Where models of the Hugging Face hub come from and are kept, as the environment says it to huggingface_hub. */
export interface HubPlace {
  /** The folder of the cache, which may not exist yet. */
  readonly cache: string
  /** The address of the hub, without a slash at its end. */
  readonly endpoint: string
  /** Sent to the hub alone, and never shown. */
  readonly token: string | undefined
  /** Nothing may be fetched. */
  readonly offline: boolean
}

/** A file that grows piece by piece, and that a later process goes on with after a break. */
export interface PartFile {
  /** Bytes that are there. */
  readonly size: number
  append(bytes: Uint8Array): Promise<void>
  /** Begins again with nothing. */
  clear(): Promise<void>
  /** The hash of all bytes, in lower-case hexadecimal. */
  digest(): string
  close(): Promise<void>
}

/** How a PartFile is hashed. */
export interface PartHash {
  readonly algorithm: 'sha256' | 'sha1'
  /** What is hashed before the file's own bytes. */
  readonly prefix?: string
}

/** Which of how many processes this is. */
export interface WorldPlace {
  readonly rank: number
  readonly size: number
}

/**
 * The processes that train together, all of which call the same in the same order; used by one thread alone. Whoever
 * waits for one that is gone gets a LostProcessError, now and ever after.
 */
export interface World extends WorldPlace {
  /** Replaces numbers, in place, by their sums over all processes: the same bits in each. */
  allReduce(numbers: Float32Array | Float64Array): Promise<void>
  /** Replaces numbers by those of process 0. */
  broadcast(numbers: Float32Array): Promise<void>
  /** Waits until all are here. */
  barrier(): Promise<void>
  /** This process is to end: it waits for the others no longer than a moment. */
  interrupt(): void
  /** Whether, of the processes that are left on its machine, this has the lowest rank. */
  isHeir(): boolean
  /** Ends it in good order, when all do. */
  leave(): Promise<void>
}

/** The names that `#platform` exports, the same in Node and in browsers. */
export interface Platform {
  /**
   * Joins the other processes of a run: those that mpirun started, in Node; elsewhere there are none. A LatentkitError
   * says what is missing.
   */
  joinWorld(): Promise<World>
  /** Opens a path, URL, Blob or bytes for random access. */
  openSource(from: SourceLike): Promise<FileSource>
  readBytes(from: SourceLike): Promise<Uint8Array>
  /** Reads UTF-8 text without its byte order mark; a FileError where it is not UTF-8. */
  readText(from: SourceLike): Promise<string>
  /**
   * Writes a file, with its folders, so that whatever happens (crash, full disk, an error in `data`) either the old
   * file or the whole new one is there.
   */
  writeFileAtomic(path: string, data: Writable): Promise<void>
  /** Appends to a file, which is made with its folders where missing: all of it, or nothing where that fails. */
  appendFile(path: string, data: string | Uint8Array): Promise<void>
  /**
   * Makes a file that says that this process uses something, and gives what removes it; what a process that has died left
   * is taken over. `what` is what messages call it. An InUseError says who uses it already.
   */
  lockFile(path: string, what: string): Promise<() => Promise<void>>
  /** Opens a file to be appended to, hashing what it holds already; it is made with its folders where missing. */
  openPart(path: string, hash: PartHash): Promise<PartFile>
  /** Gives a file another name on the same disk; what has that name is replaced. */
  moveFile(from: string, to: string): Promise<void>
  /** Makes a relative symbolic link to a file, or a copy of it where links cannot be made; what is there is replaced. */
  linkFile(target: string, path: string): Promise<void>
  /** Bytes that can still be written below a folder, which need not exist yet. */
  freeSpace(folder: string): Promise<number>
  /** Removes a file; it is no error if there is none. */
  removeFile(path: string): Promise<void>
  /** What lies at a path (links followed), or undefined if nothing does. */
  fileInfo(path: string): Promise<FileInfo | undefined>
  /** The absolute path with all symbolic links resolved. */
  realPath(path: string): Promise<string>
  /** The entries of a folder by name in code-unit order; links are followed, broken ones left out. */
  listFolder(path: string): Promise<FolderEntry[]>
  /** All files below a folder, in the order of their names; a folder reached twice through links is walked once. */
  walkFiles(path: string): AsyncGenerator<WalkedFile>
  joinPath(...parts: string[]): string
  /** The folder that holds a path. */
  parentFolder(path: string): string
  /** The last part of a path. */
  baseName(path: string): string
  /** The extension of a path with its dot and in lower case, or ''. */
  extensionName(path: string): string
  /** latentkit's folder in the user's cache, which may not exist yet. */
  cacheFolder(): string
  /** Where models of the Hugging Face hub are; undefined where there is no disk to keep them on. */
  hubPlace(): Promise<HubPlace | undefined>
  /** Unpacks a zlib stream; a DataTooLongError above `maxLength` bytes, another Error where it is damaged or cut off. */
  inflateZlib(data: Uint8Array, maxLength: number): Promise<Uint8Array>
  /** Packs bytes into a zlib stream. */
  deflateZlib(data: Uint8Array): Promise<Uint8Array>
  /**
   * Unpacks a gzip stream piece by piece; what was readable comes first where it is damaged, which is an Error, or cut
   * off, which is none in Node.
   */
  gunzip(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array>
  /**
   * Decodes JPEG, WebP, GIF or AVIF, turned as its EXIF orientation says: by sharp in Node (an optional peer; a
   * LatentkitError says how to install it), by the browser itself there. `file` is what messages call it.
   */
  decodeForeignImage(bytes: Uint8Array, file: string, maxPixels: number): Promise<DecodedImage>
  /** SHA-256 in lower-case hexadecimal. */
  sha256(data: Uint8Array | string): Promise<string>
  processor(): Processor
  /** Milliseconds of a clock that never goes back, for durations. */
  now(): number
  /** Gives back now what was let go of, where the host can. */
  collectGarbage(): void
  /** Starts the thread in which the sessions live. */
  startWorker(): WorkerHandle
  /** The worker's own end of the line. */
  workerSide(): WorkerLink
  /** Loads the packages that read Parquet (optional peers in Node; a LatentkitError naming `file` says how to install them). */
  loadParquet(file: string): Promise<ParquetLibrary>
  /** Loads the runtime's package for a device. */
  loadOnnxRuntime(device: string, threads: number): Promise<OnnxRuntime>
}
