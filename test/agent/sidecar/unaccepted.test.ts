import { expect, test } from 'vitest';
import { parseUnaccepted } from '../../../agent/sidecar/checkpoint/unaccepted.ts';

/** As a little-endian machine shows it: a listener, accepted connections, one in the queue, an orphan. */
const TCP = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:1F90 00000000:0000 0A 00000000:00000002 00:00000000 00000000     0        0 4711 1 0000000000000000 100 0 0 10 0
   1: 0200000A:1F90 0100000A:9C40 01 00000000:00000005 00:00000000 00000000     0        0 4712 1 0000000000000000 20 4 30 10 -1
   2: 0200000A:1F90 0100000A:9C41 01 00000000:00000005 00:00000000 00000000     0        0 0 1 0000000000000000 20 4 30 10 -1
   3: 0200000A:1F90 0100000A:9C42 08 00000000:00000006 00:00000000 00000000     0        0 0 1 0000000000000000 20 4 30 10 -1
   4: 0200000A:1F90 0100000A:9C43 05 00000000:00000000 00:00000000 00000000     0        0 0 1 0000000000000000 20 4 30 10 -1
`;
const TCP6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0000000000000000FFFF00000200000A:0050 0000000000000000FFFF00000100000A:9C44 01 00000000:00000000 00:00000000 00000000     0        0 0 1 0000000000000000 20 4 30 10 -1
`;

test('connections that wait for accept() are told from all others', () => {
  expect([...parseUnaccepted([TCP, TCP6])]).toEqual([
    '10.0.0.2:8080>10.0.0.1:40001',
    '10.0.0.2:8080>10.0.0.1:40002',
    '10.0.0.2:80>10.0.0.1:40004',
  ]);
  expect([...parseUnaccepted(['', ''])]).toEqual([]);
});
