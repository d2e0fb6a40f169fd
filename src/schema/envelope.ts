/** What a command prints with `--json`: one object on one line. */
export type Envelope =
  | { command: string; ok: true; data: unknown }
  | { command: string; ok: false; error: { name: string; message: string; [field: string]: unknown } }

/** The envelope of a command that worked. */
export function success(command: string, data: unknown): Envelope {
  return { command, ok: true, data }
}

/** The envelope of a command that failed: the error's name, message and plain fields (`file`, `problems`, ...), never its stack. */
export function failure(command: string, error: unknown): Envelope {
  if (!(error instanceof Error)) return { command, ok: false, error: { name: 'Error', message: String(error) } }
  const { stack: _, cause: __, ...fields } = error as Error & Record<string, unknown>
  return { command, ok: false, error: { ...fields, name: error.name, message: error.message } }
}
