/**
 * The branch's files: they hold the same number as its memory, so that a restore that brings files and memory of
 * different moments shows. One in a volume, one in /dev/shm, one in the container's own layer. All are kept open, as a
 * data base would.
 */
import { closeSync, fstatSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/** The journal is emptied when it has so many lines. */
const MAX_LINES = 2000;
/** Digits of the number in the two counter files: fixed, so that it is overwritten in place. */
const DIGITS = 12;

interface OpenFile {
  readonly path: string;
  readonly fd: number;
}

/** The files of one branch. An empty path means that file is not kept. */
export class BranchFiles {
  private readonly journal: OpenFile | undefined;
  private readonly counters: readonly OpenFile[];
  private lines = 0;
  private count = 0;

  /** Opens and empties the files, making their folders. @throws Error of the file system. */
  constructor(journal: string, counters: readonly string[]) {
    this.journal = journal === '' ? undefined : open(journal, 'a');
    if (this.journal !== undefined) ftruncateSync(this.journal.fd);
    this.counters = counters.filter((path) => path !== '').map((path) => open(path, 'w'));
    this.tick('start');
  }

  /** Lines written to the journal so far. */
  get ticks(): number {
    return this.count;
  }

  /** Appends a line to the journal and puts its number into the other files. */
  tick(text: string): void {
    this.count += 1;
    if (this.journal !== undefined) {
      if (this.lines >= MAX_LINES) {
        ftruncateSync(this.journal.fd);
        this.lines = 0;
      }
      writeSync(this.journal.fd, `${this.count} ${text}\n`);
      this.lines += 1;
    }
    for (const { fd } of this.counters) writeSync(fd, this.padded(), 0);
  }

  /**
   * Reads all files again, by path, and says where they differ from memory: an emptied or replaced file, lines from
   * after the cut, lines missing, a file that is no longer the one kept open.
   */
  problems(): string[] {
    const found: string[] = [];
    const read = (file: OpenFile, judge: (content: string) => string | undefined): void => {
      let problem: string | undefined;
      try {
        problem = judge(readFileSync(file.path, 'utf8'));
        if (fstatSync(file.fd).nlink === 0) problem ??= 'the open file has been deleted';
      } catch (error) {
        problem = String(error);
      }
      if (problem !== undefined) found.push(`${file.path}: ${problem}`);
    };
    if (this.journal !== undefined) read(this.journal, (content) => this.judgeJournal(content));
    for (const file of this.counters) {
      read(file, (content) =>
        content === this.padded() ? undefined : `holds ${content.trim() || 'nothing'}, memory holds ${this.count}`,
      );
    }
    return found;
  }

  close(): void {
    for (const file of [this.journal, ...this.counters]) if (file !== undefined) closeSync(file.fd);
  }

  private judgeJournal(content: string): string | undefined {
    const numbers = content
      .split('\n')
      .slice(0, -1)
      .map((line) => Number(line.split(' ')[0]));
    if (numbers.length !== this.lines) return `has ${numbers.length} lines, ${this.lines} were written`;
    const first = this.count - this.lines + 1;
    const wrong = numbers.findIndex((number, index) => number !== first + index);
    return wrong < 0 ? undefined : `line ${wrong + 1} has number ${String(numbers[wrong])}, not ${first + wrong}`;
  }

  private padded(): string {
    return `${String(this.count).padStart(DIGITS, '0')}\n`;
  }
}

function open(path: string, flags: string): OpenFile {
  mkdirSync(dirname(path), { recursive: true });
  return { path, fd: openSync(path, flags) };
}
