import { afterEach, beforeEach, expect, test } from 'vitest';
import { comingNamesScript, namesCome } from '../../../agent/network/coming-names.ts';
import { Bed, type Program } from './kernel-bed.ts';

/** The engine's DNS server: the first label of a name says with which code it is answered. */
const SERVER = `
import dgram from 'node:dgram';
const socket = dgram.createSocket('udp4');
socket.on('message', (m, from) => {
  const answer = Buffer.from(m);
  answer.writeUInt16BE(0x8180 | Number(m.toString('latin1', 13, 14)), 2);
  socket.send(answer, from.port, from.address);
});
socket.bind(53, '127.0.0.11', () => console.log('listening'));`;

/** Asks for a name of one label, and says what it hears. */
const ASKER = `
import dgram from 'node:dgram';
import readline from 'node:readline';
const socket = dgram.createSocket('udp4');
socket.on('message', (m) => console.log('code ' + (m.readUInt16BE(2) & 15)));
socket.connect(53, '127.0.0.11', () => console.log('up'));
for (const code of process.argv[1]) {
  const name = '01' + Buffer.from(code).toString('hex') + '00';
  const question = Buffer.from('000101000001000000000000' + name + '00010001', 'hex');
  setTimeout(() => socket.send(question), 200);
}`;

let bed: Bed;
beforeEach(async () => {
  bed = await Bed.make({ a: '10.9.0.2/24' });
  await bed.run('a', ['ip', 'link', 'set', 'lo', 'up']);
  await bed.program('a', SERVER).line((line) => line === 'listening');
});
afterEach(() => bed.close());

/** Asks for names that are answered with these codes, one after the other. */
async function asks(codes: string): Promise<Program> {
  const asker = bed.program('a', ASKER, codes);
  await asker.line((line) => line === 'up');
  return asker;
}

test('while names come, nobody hears that there is no such name; what is known is answered', async () => {
  await bed.run('a', ['nft', '-f', '-'], comingNamesScript(60_000));
  // In this order: when the last answer is there, the others have been lost.
  const asker = await asks('2350');
  await asker.line((line) => line === 'code 0');
  expect(asker.lines.filter((line) => line.startsWith('code'))).toEqual(['code 0']);
});

test('when they have come, it is said again, and nothing is left', async () => {
  await bed.run('a', ['nft', '-f', '-'], comingNamesScript(60_000));
  await namesCome(bed.netns('a'), 1);
  expect(await bed.run('a', ['nft', 'list', 'ruleset'])).not.toContain('swarmcut_names');
  const asker = await asks('3');
  await asker.line((line) => line === 'code 3');
});
