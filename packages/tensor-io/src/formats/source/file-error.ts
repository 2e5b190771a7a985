import { ReallmError } from '../../core/errors.ts'

/** One clear error for what the file system refuses, naming the file and the fix. */
export function fileError(cause: unknown, name: string, doing: 'read' | 'write'): ReallmError {
  if (cause instanceof ReallmError) return cause
  const { code, message } = cause as NodeJS.ErrnoException
  switch (code) {
    case 'ENOENT':
      if (doing === 'write') {
        return new ReallmError('io', `${name}: its directory is gone`, {
          cause,
          hint: 'was it deleted or moved meanwhile? start anew',
        })
      }
      return new ReallmError('not-found', `${name}: no such file`, { cause })
    case 'EISDIR':
      return new ReallmError('bad-file', `${name} is a directory, not a file`, { cause })
    case 'EROFS':
      return new ReallmError('io', `${name}: the file system is read-only`, {
        cause,
        hint: 'choose another output directory',
      })
    case 'EACCES':
    case 'EPERM':
      return new ReallmError('io', `${name}: no permission to ${doing} it`, { cause })
    case 'ENOSPC':
    case 'EDQUOT':
      return new ReallmError('io', `${name}: the disk is full`, {
        cause,
        hint: 'free some space or choose another output directory; nothing half-written was left behind',
      })
    default:
      return new ReallmError('io', `${name}: cannot ${doing} it (${message})`, { cause })
  }
}
