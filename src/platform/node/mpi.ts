import { LatentkitError } from '../errors.js'

/** The version that the tests run with, as in package.json's peerDependencies. */
const wanted = 'koffi@3.3.4'

/** What Open MPI 4 and 5 call their library; both have the same binary interface. */
const names = ['libmpi.so.40', 'libmpi.so', 'libmpi.40.dylib', 'libmpi.dylib']

/** A constant of the C interface: its address is the handle. */
type Handle = { readonly __handle: never }
type Count = [number]

/**
 * What is used of Open MPI's C library; each function returns 0 or an error. A pointer to nothing is null, and numbers
 * are handed over where they lie.
 */
export interface Mpi {
  readonly world: Handle
  readonly float: Handle
  readonly double: Handle
  readonly sum: Handle
  initialized(flag: Count): number
  init(argc: null, argv: null, required: number, provided: Count): number
  returnErrors(communicator: Handle, handler: Handle): number
  readonly errorsReturn: Handle
  rank(communicator: Handle, rank: Count): number
  size(communicator: Handle, size: Count): number
  allReduce(
    from: 1,
    to: ArrayBufferView,
    count: number,
    type: Handle,
    by: Handle,
    world: Handle,
    request: Request,
  ): number
  broadcast(data: ArrayBufferView, count: number, type: Handle, root: number, world: Handle, request: Request): number
  barrier(world: Handle, request: Request): number
  test(request: Request, done: Count, status: null): number
  errorString(code: number, text: Uint8Array, length: Count): number
  finalize(): number
}

/** Room for one request: a pointer of the library. */
export type Request = BigUint64Array

/** `MPI_IN_PLACE`: the numbers are read where the result is written. */
export const inPlace = 1
/** `MPI_THREAD_FUNNELED`: other threads run, but only one calls the library. */
export const funneled = 1

/**
 * Loads Open MPI.
 *
 * @throws LatentkitError where the package koffi or the library is missing; it says what to install.
 */
export async function loadMpi(): Promise<Mpi> {
  const { default: koffi } = await import('koffi').catch((cause: unknown) => {
    throw new LatentkitError(
      'Training under mpirun needs the package koffi, which could not be loaded. ' +
        `Run "npm install ${wanted}", or start one process without mpirun`,
      { cause },
    )
  })
  const failures: string[] = []
  for (const name of names) {
    try {
      // Open MPI loads its transports as plug-ins, which look for its functions among the process's own.
      return bind(koffi.load(name, { global: true }))
    } catch (error) {
      failures.push((error as Error).message)
    }
  }
  throw new LatentkitError(
    `Training under mpirun needs Open MPI 4 or 5, whose library could not be loaded (${failures[0]}). ` +
      'Install it (Debian, Ubuntu: openmpi-bin; Fedora: openmpi; macOS: brew install open-mpi), or start one process without mpirun',
  )
}

type Library = ReturnType<typeof import('koffi')['default']['load']>

// mpi.h of Open MPI: a predefined handle is the address of a variable of the library.
function bind(library: Library): Mpi {
  const handle = (name: string) => library.symbol(name) as Handle
  const call = <F>(declaration: string) => library.func(`int MPI_${declaration}`) as F
  return {
    world: handle('ompi_mpi_comm_world'),
    float: handle('ompi_mpi_float'),
    double: handle('ompi_mpi_double'),
    sum: handle('ompi_mpi_op_sum'),
    errorsReturn: handle('ompi_mpi_errors_return'),
    initialized: call('Initialized(_Out_ int *flag)'),
    init: call('Init_thread(void *argc, void *argv, int required, _Out_ int *provided)'),
    returnErrors: call('Comm_set_errhandler(void *comm, void *handler)'),
    rank: call('Comm_rank(void *comm, _Out_ int *rank)'),
    size: call('Comm_size(void *comm, _Out_ int *size)'),
    allReduce: call('Iallreduce(void *from, void *to, int count, void *type, void *op, void *comm, void *request)'),
    broadcast: call('Ibcast(void *data, int count, void *type, int root, void *comm, void *request)'),
    barrier: call('Ibarrier(void *comm, void *request)'),
    test: call('Test(void *request, _Out_ int *flag, void *status)'),
    errorString: call('Error_string(int code, void *text, _Out_ int *length)'),
    finalize: call('Finalize()'),
  }
}
