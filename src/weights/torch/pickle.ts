import { FileError } from '../../platform/errors.js'
import { CutOff } from '../growing.js'
import { quoted } from '../tensor-file.js'

/** A Python tuple; lists are arrays and dictionaries are maps. */
export class Tuple {
  readonly items: readonly PickleValue[]
  constructor(items: readonly PickleValue[]) {
    this.items = items
  }
}

/** A class or function that the pickle names, as `module name`; naming one does nothing. */
export class Global {
  readonly name: string
  constructor(name: string) {
    this.name = name
  }
}

/** Anything that the caller's `PickleObjects` made; the pickle only passes it on. */
export class Made<T = unknown> {
  readonly value: T
  constructor(value: T) {
    this.value = value
  }
}

export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleValue[]
  | Tuple
  | Map<PickleValue, PickleValue>
  | Global
  | Made

/** Throws the FileError that says why, and where in the file. */
export type Refuse = (reason: string) => never

/** What the few things that a file of tensors builds become. Each returns undefined, or says why, to refuse. */
export interface PickleObjects {
  /** The call of a named function or class (REDUCE, NEWOBJ). */
  call(global: string, args: readonly PickleValue[], refuse: Refuse): PickleValue | undefined
  /** What lies outside the pickle (BINPERSID). */
  persistent(id: PickleValue): PickleValue | undefined
  /** The state of an object (BUILD): what takes the object's place. */
  build(object: PickleValue, state: PickleValue): PickleValue | undefined
}

/**
 * Reads the pickle with which bytes begin, running nothing: a stack machine over plain values, whose every call goes to `objects`.
 *
 * Of the opcodes only those of protocols 2 to 5 that tensors need. Time and memory grow with the bytes and nothing else.
 * Throws FileError for everything unexpected. Source of the opcodes: CPython, Lib/pickletools.py.
 *
 * @param origin the place of the bytes in the file, which messages tell
 */
export function readPickle(
  bytes: Uint8Array,
  objects: PickleObjects,
  { file, origin }: { file: string; origin: number },
): { value: PickleValue; end: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const stack: PickleValue[] = []
  /** Heights of the stack at the open MARKs. */
  const marks: number[] = []
  const memo = new Map<number, PickleValue>()
  let at = 0
  let opcodeAt = 0

  function refuse(reason: string): never {
    throw new FileError(file, reason, { offset: origin + opcodeAt })
  }
  const fail: Refuse = reason => refuse(`${reason}; such a file is damaged or no file of tensors`)
  function take(length: number): number {
    const from = at
    if (length > bytes.length - at) {
      throw new CutOff(file, `the pickle ends inside a value of ${length} bytes; load the file again`, {
        offset: origin + opcodeAt,
      })
    }
    at += length
    return from
  }
  const u8 = () => view.getUint8(take(1))
  const u32 = () => view.getUint32(take(4), true)
  const u64 = () => Number(view.getBigUint64(take(8), true))
  const chunk = (length: number) => {
    const from = take(length)
    return bytes.subarray(from, from + length)
  }
  const text = (length: number) => {
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(chunk(length))
    } catch (error) {
      if (error instanceof CutOff) throw error
      return fail('a text is not UTF-8')
    }
  }
  const line = () => {
    const end = bytes.indexOf(10, at)
    const value = text((end < 0 ? bytes.length + 1 : end) - at)
    at++
    return value
  }
  function pop(): PickleValue {
    if (stack.length <= (marks.at(-1) ?? 0)) fail('an opcode finds nothing to work on')
    return stack.pop()!
  }
  function popToMark(): PickleValue[] {
    const height = marks.pop()
    if (height === undefined) return fail('an opcode finds no MARK')
    return stack.splice(height)
  }
  function top(): PickleValue {
    const value = pop()
    stack.push(value)
    return value
  }
  function setItems(items: readonly PickleValue[]): void {
    const map = top()
    if (!(map instanceof Map) || items.length % 2 !== 0) fail('something is set that is no entry of a dictionary')
    for (let i = 0; i < items.length; i += 2) {
      const key = items[i]!
      if (Array.isArray(key) || key instanceof Map) fail('a list or dictionary is the key of a dictionary')
      map.set(key, items[i + 1]!)
    }
  }
  function append(items: readonly PickleValue[]): void {
    const list = top()
    if (!Array.isArray(list)) fail('something is appended to what is no list')
    for (const item of items) list.push(item)
  }
  function call(): void {
    const args = pop()
    const callee = pop()
    if (!(callee instanceof Global) || !(args instanceof Tuple)) fail('something is called that is no function')
    const made = objects.call(callee.name, args.items, refuse)
    if (made === undefined) {
      const reason = `wants to call ${quoted(callee.name.replace(' ', '.'))}, which a file of tensors has no use for; it was not called. Do not open this file in other programs unless you trust its author`
      refuse(reason)
    }
    stack.push(made)
  }
  /** A little-endian two's complement number. */
  function long(length: number): void {
    // Python's own numbers are longer only where somebody wants the reader to work.
    if (length > 256) fail(`a number has ${length} bytes`)
    const digits = chunk(length)
    let value = 0n
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(digits[i]!)
    if (length > 0 && digits[length - 1]! >= 128) value -= 1n << BigInt(8 * length)
    stack.push(Number.isSafeInteger(Number(value)) ? Number(value) : value)
  }
  function recall(index: number): void {
    const value = memo.get(index)
    if (value === undefined) fail('the pickle recalls what it never stored')
    stack.push(value)
  }

  for (;;) {
    opcodeAt = at
    const opcode = u8()
    switch (opcode) {
      case 0x80: // PROTO
        if (u8() > 5) fail('the pickle is of an unknown protocol')
        break
      case 0x95: {
        // FRAME
        const length = u64()
        take(length)
        at -= length
        break
      }
      case 0x28: // MARK
        marks.push(stack.length)
        break
      case 0x2e: {
        // STOP
        const value = pop()
        if (stack.length > 0 || marks.length > 0) fail('the pickle stops with work left')
        return { value, end: at }
      }
      case 0x4e: // NONE
        stack.push(null)
        break
      case 0x88: // NEWTRUE
        stack.push(true)
        break
      case 0x89: // NEWFALSE
        stack.push(false)
        break
      case 0x4a: // BININT
        stack.push(view.getInt32(take(4), true))
        break
      case 0x4b: // BININT1
        stack.push(u8())
        break
      case 0x4d: // BININT2
        stack.push(view.getUint16(take(2), true))
        break
      case 0x8a: // LONG1
        long(u8())
        break
      case 0x8b: // LONG4
        long(u32())
        break
      case 0x47: // BINFLOAT, the one value that is big-endian
        stack.push(view.getFloat64(take(8)))
        break
      case 0x58: // BINUNICODE
        stack.push(text(u32()))
        break
      case 0x8c: // SHORT_BINUNICODE
        stack.push(text(u8()))
        break
      case 0x8d: // BINUNICODE8
        stack.push(text(u64()))
        break
      case 0x54: // BINSTRING
        stack.push(text(u32()))
        break
      case 0x55: // SHORT_BINSTRING
        stack.push(text(u8()))
        break
      case 0x42: // BINBYTES
        stack.push(chunk(u32()))
        break
      case 0x43: // SHORT_BINBYTES
        stack.push(chunk(u8()))
        break
      case 0x8e: // BINBYTES8
        stack.push(chunk(u64()))
        break
      case 0x7d: // EMPTY_DICT
        stack.push(new Map())
        break
      case 0x5d: // EMPTY_LIST
        stack.push([])
        break
      case 0x29: // EMPTY_TUPLE
        stack.push(new Tuple([]))
        break
      case 0x85: // TUPLE1
        stack.push(new Tuple([pop()]))
        break
      case 0x86: {
        // TUPLE2
        const second = pop()
        stack.push(new Tuple([pop(), second]))
        break
      }
      case 0x87: {
        // TUPLE3
        const third = pop()
        const second = pop()
        stack.push(new Tuple([pop(), second, third]))
        break
      }
      case 0x74: // TUPLE
        stack.push(new Tuple(popToMark()))
        break
      case 0x73: {
        // SETITEM
        const value = pop()
        setItems([pop(), value])
        break
      }
      case 0x75: // SETITEMS
        setItems(popToMark())
        break
      case 0x61: // APPEND
        append([pop()])
        break
      case 0x65: // APPENDS
        append(popToMark())
        break
      case 0x71: // BINPUT
        memo.set(u8(), top())
        break
      case 0x72: // LONG_BINPUT
        memo.set(u32(), top())
        break
      case 0x94: // MEMOIZE
        memo.set(memo.size, top())
        break
      case 0x68: // BINGET
        recall(u8())
        break
      case 0x6a: // LONG_BINGET
        recall(u32())
        break
      case 0x63: {
        // GLOBAL
        const module = line()
        stack.push(new Global(`${module} ${line()}`))
        break
      }
      case 0x93: {
        // STACK_GLOBAL
        const name = pop()
        const module = pop()
        if (typeof name !== 'string' || typeof module !== 'string') fail('a class has no name')
        stack.push(new Global(`${module} ${name}`))
        break
      }
      case 0x52: // REDUCE
      case 0x81: // NEWOBJ
        call()
        break
      case 0x51: {
        // BINPERSID
        const made = objects.persistent(pop())
        if (made === undefined) fail('something lies outside the pickle that is no storage of a tensor')
        else stack.push(made)
        break
      }
      case 0x62: {
        // BUILD
        const state = pop()
        const built = objects.build(pop(), state)
        if (built === undefined) fail('an object is given attributes that a file of tensors has no use for')
        else stack.push(built)
        break
      }
      default:
        fail(`the opcode 0x${opcode.toString(16)} is none that tensors need`)
    }
  }
}
