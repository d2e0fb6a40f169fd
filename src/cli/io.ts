/** What a command may touch of the world around it. */
export interface Io {
  /** Results, for programs to read. */
  readonly out: (text: string) => void
  /** Progress and remarks, for people to read. */
  readonly err: (text: string) => void
  /** Whether `err` goes to a terminal, where a line can be written over. */
  readonly terminal: boolean
  /** Seconds since 1970. */
  readonly clock: () => number
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal
}
