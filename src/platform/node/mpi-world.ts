import { createHash } from 'node:crypto'
import { hostname } from 'node:os'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { LatentkitError, LostProcessError } from '../errors.js'
import type { World } from '../types.js'
import { isAlive } from './lock.js'
import { funneled, inPlace, loadMpi, type Mpi, type Request } from './mpi.js'

/**
 * Numbers of one all-reduce. Open MPI takes as much memory again as an all-reduce is long while it goes on, and a few of
 * this length fill any link.
 */
const bucket = 2 ** 20
/** All-reduces that are under way at once. */
const window = 4

/** Milliseconds of waiting after which a process leaves the processor to others between two looks. */
const patience = 2
/** Milliseconds between two looks whether the others live. */
const roundTime = 100
/** Milliseconds that an interrupted process waits for the others, which may be dead on other machines. */
const grace = 500

/**
 * Open MPI's processes. All of its functions are called from one thread, the worker's, where the gradients are: they
 * never leave their memory. Nothing blocks inside the library: a process that waits for one that died would do so
 * forever, so requests are looked at again and again, and between that the processes of this machine.
 */
export class MpiWorld implements World {
  readonly rank: number
  readonly size: number
  readonly #mpi: Mpi
  /** Processes of this machine that can be watched. */
  #neighbours: { readonly rank: number; readonly pid: number }[] = []
  #interrupted = Number.POSITIVE_INFINITY
  #lost: LostProcessError | undefined

  static async join(): Promise<MpiWorld> {
    const mpi = await loadMpi()
    const flag: [number] = [0]
    mpi.initialized(flag)
    if (flag[0] !== 0) {
      throw new LatentkitError('This process has joined the others already: only one device of a process can do so')
    }
    if (mpi.init(null, null, funneled, [0]) !== 0) throw new LatentkitError('Open MPI could not be started')
    // By default an error would end the process, with what it has not saved.
    mpi.returnErrors(mpi.world, mpi.errorsReturn)
    const world = new MpiWorld(mpi)
    await world.#meet()
    return world
  }

  private constructor(mpi: Mpi) {
    const rank: [number] = [0]
    const size: [number] = [0]
    mpi.rank(mpi.world, rank)
    mpi.size(mpi.world, size)
    this.rank = rank[0]
    this.size = size[0]
    this.#mpi = mpi
  }

  async allReduce(numbers: Float32Array | Float64Array): Promise<void> {
    const { allReduce, world, float, double, sum } = this.#mpi
    const type = numbers instanceof Float32Array ? float : double
    await this.#all(numbers, (piece, request) => allReduce(inPlace, piece, piece.length, type, sum, world, request))
  }

  async broadcast(numbers: Float32Array): Promise<void> {
    const { broadcast, world, float } = this.#mpi
    await this.#all(numbers, (piece, request) => broadcast(piece, piece.length, float, 0, world, request))
  }

  async barrier(): Promise<void> {
    await this.#finished(this.#begun(request => this.#mpi.barrier(this.#mpi.world, request)))
  }

  interrupt(): void {
    this.#interrupted = Math.min(this.#interrupted, performance.now())
  }

  isHeir(): boolean {
    return !this.#neighbours.some(({ rank, pid }) => rank < this.rank && isAlive(pid))
  }

  async leave(): Promise<void> {
    // There is no good order without the others.
    if (this.#lost) return
    await this.barrier()
    this.#mpi.finalize()
  }

  /** Learns who else runs on this machine. */
  async #meet(): Promise<void> {
    const pids = new Float64Array(this.size)
    const hosts = new Float64Array(this.size)
    pids[this.rank] = process.pid
    hosts[this.rank] = createHash('sha256').update(hostname()).digest().readUInt32LE()
    await this.allReduce(pids)
    await this.allReduce(hosts)
    // Machines of one name, or containers: who cannot be seen now would seem to have died.
    this.#neighbours = Array.from(pids, (pid, rank) => ({ rank, pid })).filter(
      ({ rank, pid }) => rank !== this.rank && hosts[rank] === hosts[this.rank] && isAlive(pid),
    )
  }

  /** Begins an operation on each piece of an array, some of them at once, and waits for all. */
  async #all<Numbers extends Float32Array | Float64Array>(
    numbers: Numbers,
    begin: (piece: Numbers, request: Request) => number,
  ): Promise<void> {
    const underWay: Request[] = []
    for (let start = 0; start < numbers.length; start += bucket) {
      const piece = numbers.subarray(start, start + bucket) as Numbers
      underWay.push(this.#begun(request => begin(piece, request)))
      if (underWay.length === window) await this.#finished(underWay.shift()!)
    }
    for (const request of underWay) await this.#finished(request)
  }

  #begun(begin: (request: Request) => number): Request {
    if (this.#lost) throw this.#lost
    const request = new BigUint64Array(1)
    this.#check(begin(request))
    return request
  }

  async #finished(request: Request): Promise<void> {
    const done: [number] = [0]
    const start = performance.now()
    let looked = start
    for (;;) {
      this.#check(this.#mpi.test(request, done, null))
      if (done[0] !== 0) return
      const now = performance.now()
      if (now - looked > roundTime) {
        looked = now
        this.#lookRound(now)
      }
      await (now - start < patience ? setImmediate() : setTimeout(1))
    }
  }

  #lookRound(now: number): void {
    const dead = this.#neighbours.find(({ pid }) => !isAlive(pid))
    if (dead) throw this.#loss(`process ${dead.rank} of ${this.size} (pid ${dead.pid}) has died`)
    if (now - this.#interrupted > grace) throw this.#loss('this process was told to stop, and the others did not come')
  }

  #check(code: number): void {
    if (code === 0) return
    const text = new Uint8Array(256)
    const length: [number] = [0]
    this.#mpi.errorString(code, text, length)
    throw this.#loss(`Open MPI reports ${new TextDecoder().decode(text.subarray(0, length[0]))}`)
  }

  #loss(reason: string): LostProcessError {
    this.#lost = new LostProcessError(`The processes that train together have come apart: ${reason}`)
    return this.#lost
  }
}
