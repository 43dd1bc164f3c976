# Sends one frame, or counts those that bring a text, on one interface. Raw: nothing of the sender's stack is asked.
#   frames.pl send INTERFACE HEX
#   frames.pl count INTERFACE TEXT SECONDS     prints "ready", then the number
#   frames.pl ask ADDRESS                      sends "anybody there" in IPv6, so that the stack looks for its neighbour
use strict;
use warnings;
use Socket qw(AF_INET6 SOCK_DGRAM SOCK_RAW inet_pton pack_sockaddr_in6);
use constant { AF_PACKET => 17, ETH_P_ALL => 0x0300, PACKET_OUTGOING => 4 };

my ($task, $interface, $what, $seconds) = @ARGV;
if ($task eq 'ask') {
  socket(my $datagram, AF_INET6, SOCK_DGRAM, 0) or die "socket: $!";
  defined(send($datagram, 'anybody there', 0, pack_sockaddr_in6(9, inet_pton(AF_INET6, $interface)))) or die "send: $!";
  exit;
}
open(my $file, '<', "/sys/class/net/$interface/ifindex") or die "no interface $interface";
chomp(my $index = <$file>);
socket(my $socket, AF_PACKET, SOCK_RAW, ETH_P_ALL) or die "socket: $!";
bind($socket, pack('S S l S C C a8', AF_PACKET, ETH_P_ALL, $index, 0, 0, 0, '')) or die "bind: $!";

if ($task eq 'send') {
  defined(send($socket, pack('H*', $what), 0)) or die "send: $!";
  exit;
}
$| = 1;
print "ready\n";
my $count = 0;
my $end = time + $seconds;
while (time < $end) {
  my $bits = '';
  vec($bits, fileno($socket), 1) = 1;
  next if select($bits, undef, undef, 0.1) <= 0;
  my $from = recv($socket, my $frame, 65535, 0);
  next if !defined $from || unpack('x10 C', $from) == PACKET_OUTGOING;
  $count++ if index($frame, $what) >= 0;
}
print "$count\n";
