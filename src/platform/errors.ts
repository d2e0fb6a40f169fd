/**
 * The base of every error that latentkit throws on purpose, beside TypeError and RangeError.
 * Its message says what was being done, what was found, what was wanted and what to do.
 */
export class LatentkitError extends Error {
  override name = 'LatentkitError'
}

/** A file from outside that cannot be used: `file` names it, `offset` the byte where known. */
export class FileError extends LatentkitError {
  override name = 'FileError'
  readonly file: string
  readonly offset: number | undefined

  constructor(file: string, reason: string, options: { offset?: number; cause?: unknown } = {}) {
    const place = options.offset === undefined ? file : `${file} (byte ${options.offset})`
    super(`${place}: ${reason}`, options.cause === undefined ? undefined : { cause: options.cause })
    this.file = file
    this.offset = options.offset
  }
}

/** A file that another process, or another part of this one, is working with. */
export class InUseError extends FileError {
  override name = 'InUseError'
}

/** Whether a file could not be written for want of room, which may come back. */
export const isDiskFull = (error: unknown): error is FileError =>
  error instanceof FileError &&
  ['ENOSPC', 'EDQUOT'].includes((error.cause as { code?: string } | undefined)?.code ?? '')

/** Packed data that unpacks to more than the caller allows. */
export class DataTooLongError extends LatentkitError {
  override name = 'DataTooLongError'

  constructor(maxLength: number) {
    super(`The data unpacks to more than the ${maxLength} bytes that it should hold`)
  }
}

/** One of the processes that train together is gone; what this one holds is as it was after the last whole step. */
export class LostProcessError extends LatentkitError {
  override name = 'LostProcessError'
}
