#!/usr/bin/perl
# Sends UDP datagrams and TCP SYNs without a pause on many flows, and knows of each packet when it was sent and whether
# it arrived: leaks and losses are facts about single packets, not differences of totals.
#
# perl-base only, like the lab's traffic.pl. One line each way per request on stdin and stdout; leak-traffic.ts is the
# typed client. Times are CLOCK_MONOTONIC in milliseconds, the clock of process.hrtime().
use strict;
use warnings;
use Errno qw(EAGAIN EINTR);
use Fcntl qw(F_GETFL F_SETFL O_NONBLOCK);
use POSIX qw(uname);
use Socket qw(:all);

my %numbers = (x86_64 => [308, 228], aarch64 => [268, 113]);
my ($SETNS, $CLOCK_GETTIME) = @{ $numbers{ (uname())[4] } // die "system call numbers of this machine are not known\n" };
my ($CLONE_NEWNET, $CLOCK_MONOTONIC, $IPV6_CHECKSUM, $IPV6_V6ONLY, $SO_RCVBUFFORCE) = (0x40000000, 1, 7, 26, 33);
my $MOST_AT_ONCE = 256;
my $RETRY_MS = 2;

my (%flows, @order, %receivers, $input);
my ($rate, $cursor, $sent_total, $since) = (0, 0, 0, 0);
$input = '';

sub now {
  my $buffer = pack 'q2', 0, 0;
  syscall $CLOCK_GETTIME, $CLOCK_MONOTONIC, $buffer;
  my ($seconds, $nanos) = unpack 'q2', $buffer;
  return $seconds * 1000 + $nanos / 1e6;
}
my $epoch = now();

# Units of 10 microseconds fit 32 bits for twelve hours.
sub stamp { int((now() - $epoch) * 100) }

open my $own, '<', '/proc/self/ns/net' or die "own network namespace: $!\n";

# Runs in a network namespace and leaves it: what is opened there stays there.
sub inside {
  my ($ns, $do) = @_;
  open my $fd, '<', "/run/netns/$ns" or return undef;
  syscall($SETNS, fileno $fd, $CLONE_NEWNET) == 0 or return undef;
  my $result = eval { $do->() };
  my $error = $@;
  syscall($SETNS, fileno $own, $CLONE_NEWNET) == 0 or die "cannot leave $ns: $!\n";
  die $error if $error;
  return $result;
}

sub is_six { $_[0] =~ /:/ }

sub socket_of {
  my ($family, $type, $protocol) = @_;
  socket my $socket, $family, $type, $protocol or die "socket: $!\n";
  fcntl $socket, F_SETFL, fcntl($socket, F_GETFL, 0) | O_NONBLOCK;
  return $socket;
}

# --- receivers -----------------------------------------------------------------------------------------------------

sub arrived {
  my ($id, $sequence) = @_;
  my $flow = $flows{$id} or return;
  vec($flow->{arrived}, $sequence, 1) = 1;
}

# A UDP socket, or a raw one that sees every TCP packet of the namespace: no server has to run.
sub ensure_receiver {
  my ($ns, $six, $proto, $port) = @_;
  my $key = "$ns $six $proto " . ($proto eq 'udp' ? $port : '*');
  return 1 if $receivers{$key};
  my $family = $six ? AF_INET6 : AF_INET;
  my $socket = inside($ns, sub {
    my $made = $proto eq 'udp' ? socket_of($family, SOCK_DGRAM, 0) : socket_of($family, SOCK_RAW, IPPROTO_TCP);
    setsockopt $made, SOL_SOCKET, $SO_RCVBUFFORCE, 64 << 20;
    if ($proto eq 'udp') {
      setsockopt $made, IPPROTO_IPV6, $IPV6_V6ONLY, 1 if $six;
      my $any = $six ? pack_sockaddr_in6($port, inet_pton(AF_INET6, '::')) : pack_sockaddr_in($port, INADDR_ANY);
      bind $made, $any or die "bind port $port in $ns: $!\n";
    }
    return $made;
  }) or return 0;
  $receivers{$key} = { ns => $ns, socket => $socket, six => $six, proto => $proto };
  return 1;
}

sub drain {
  my $any = 0;
  for my $receiver (values %receivers) {
    my ($socket, $six, $udp) = ($receiver->{socket}, $receiver->{six}, $receiver->{proto} eq 'udp');
    while (defined recv $socket, my $data, 256, 0) {
      $any = 1;
      if ($udp) {
        arrived(unpack 'N2', $data) if length $data == 8;
        next;
      }
      $data = substr $data, (ord($data) & 15) * 4 if !$six;
      next if length $data < 20;
      my ($sequence, $id, $flags) = unpack 'x4 N N x C', $data;
      arrived($id, $sequence) if ($flags & 0x3f) == 2;    # SYN alone
    }
  }
  return $any;
}

# --- senders -------------------------------------------------------------------------------------------------------

sub checksum {
  my ($data) = @_;
  my $sum = unpack '%32n*', $data;
  $sum = ($sum & 0xffff) + ($sum >> 16) while $sum >> 16;
  return ~$sum & 0xffff;
}

# A SYN whose sequence number is the packet's and whose (unused) acknowledgement number is the flow's.
sub syn {
  my ($flow, $sequence) = @_;
  my $header = pack 'n n N N C C n n n', 1024 + $sequence % 60000, $flow->{port}, $sequence, $flow->{id}, 0x50, 2, 1024, 0, 0;
  return $header if $flow->{six};
  substr $header, 16, 2, pack 'n', checksum($flow->{pseudo} . $header);
  return $header;
}

# Opens what a flow needs; false as long as its namespaces are not there.
sub prepare {
  my ($flow) = @_;
  return 1 if $flow->{socket};
  return 0 if $flow->{retry_at} > now();
  $flow->{retry_at} = now() + $RETRY_MS;
  ensure_receiver(@$flow{qw(at six proto port)}) or return 0;
  my $family = $flow->{six} ? AF_INET6 : AF_INET;
  $flow->{socket} = inside($flow->{ns}, sub {
    return socket_of($family, SOCK_DGRAM, 0) if $flow->{proto} eq 'udp';
    my $socket = socket_of($family, SOCK_RAW, IPPROTO_TCP);
    setsockopt $socket, IPPROTO_IPV6, $IPV6_CHECKSUM, pack('i', 16) if $flow->{six};
    return $socket;
  }) or return 0;
  my $ip = inet_pton($family, $flow->{to});
  my $port = $flow->{proto} eq 'udp' ? $flow->{port} : 0;
  $flow->{target} = $flow->{six} ? pack_sockaddr_in6($port, $ip) : pack_sockaddr_in($port, $ip);
  $flow->{pseudo} = $flow->{six} ? '' : inet_pton(AF_INET, $flow->{from}) . $ip . pack('C C n', 0, 6, 20);
  return 1;
}

sub send_one {
  my ($flow) = @_;
  return if $flow->{closed} || !prepare($flow);
  my $sequence = $flow->{sent};
  my $packet = $flow->{proto} eq 'udp' ? pack('N2', $flow->{id}, $sequence) : syn($flow, $sequence);
  my $before = stamp();
  defined send $flow->{socket}, $packet, 0, $flow->{target} or return;
  # The process may lose the processor anywhere in between: the moment of sending is known as an interval.
  vec($flow->{before}, $sequence, 32) = $before;
  vec($flow->{behind}, $sequence, 32) = stamp();
  $flow->{sent}++;
}

# Every flow in turn, evenly spread; after a pause the missing packets are not sent in one burst.
sub send_due {
  return if !@order || !$rate;
  my $due = int((now() - $since) * $rate * @order / 1000) - $sent_total;
  if ($due > $MOST_AT_ONCE) { $sent_total += $due - $MOST_AT_ONCE; $due = $MOST_AT_ONCE }
  for (1 .. $due) {
    send_one($flows{ $order[ $cursor++ % @order ] });
    $sent_total++;
  }
}

sub restart_pace { ($since, $sent_total) = (now(), 0) }

# --- requests ------------------------------------------------------------------------------------------------------

sub first_behind {
  my ($flow, $at) = @_;
  my ($low, $high) = (0, $flow->{sent});
  while ($low < $high) {
    my $middle = ($low + $high) >> 1;
    if (vec($flow->{before}, $middle, 32) < $at) { $low = $middle + 1 } else { $high = $middle }
  }
  return $low;
}

# Packets whose sending began and ended within [from, to], and what became of them.
sub count {
  my ($r) = @_;
  my $flow = $flows{ $r->{flow} } or die "no flow $r->{flow}\n";
  my ($from, $to) = map { defined $r->{$_} ? ($r->{$_} - $epoch) * 100 : undef } qw(from to);
  my ($sent, $arrived, $first, $last, $first_lost) = (0, 0);
  for (my $i = defined $from ? first_behind($flow, $from) : 0; $i < $flow->{sent}; $i++) {
    last if defined $to && vec($flow->{behind}, $i, 32) > $to;
    $sent++;
    my $at = vec($flow->{before}, $i, 32);
    if (!vec($flow->{arrived}, $i, 1)) { $first_lost //= $at; next }
    $arrived++;
    $first //= $at;
    $last = $at;
  }
  my @times = map { defined $_->[1] ? "$_->[0]=" . ($_->[1] / 100 + $epoch) : () }
    ['first', $first], ['last', $last], ['lost', $first_lost];
  return ("sent=$sent", "arrived=$arrived", @times);
}

my $next_id = 1;
my %verbs = (
  rate => sub { $rate = $_[0]{rate}; restart_pace(); () },
  open => sub {
    my ($r) = @_;
    my $id = $next_id++;
    my %flow = (id => $id, six => is_six($r->{to}) ? 1 : 0, sent => 0, retry_at => 0);
    $flow{$_} = '' for qw(before behind arrived);
    $flow{$_} = $r->{$_} for qw(ns from to at proto port);
    $flows{$id} = \%flow;
    push @order, $id;
    restart_pace();
    return "flow=$id";
  },
  # Stops sending and lets go of the sender's namespace; the counts stay.
  close => sub {
    my ($r) = @_;
    my $flow = $flows{ $r->{flow} } or die "no flow $r->{flow}\n";
    @order = grep { $_ != $flow->{id} } @order;
    close $flow->{socket} if $flow->{socket};
    $flow->{closed} = 1;
    restart_pace();
    ();
  },
  # Lets go of a receiving namespace.
  forget => sub {
    my ($r) = @_;
    for my $key (grep { $receivers{$_}{ns} eq $r->{ns} } keys %receivers) { close $receivers{$key}{socket}; delete $receivers{$key} }
    ();
  },
  # Forgets the packets of a closed flow.
  drop => sub { delete $flows{ $_[0]{flow} }; () },
  count => sub { count($_[0]) },
);

sub handle {
  my ($line) = @_;
  my ($id, $verb, @pairs) = split ' ', $line;
  my %request = map { /^([^=]+)=(.*)$/ ? ($1, $2) : () } @pairs;
  my @answer = eval { ($verbs{$verb} // die "unknown verb $verb\n")->(\%request) };
  my $error = $@ =~ s/\s+/ /gr;
  print STDOUT join(' ', $id, $error ne '' ? ('error', $error) : ('ok', @answer)), "\n";
}

$| = 1;
$SIG{PIPE} = $SIG{INT} = 'IGNORE';
my $vector = '';
vec($vector, fileno STDIN, 1) = 1;
restart_pace();
while (1) {
  send_due();
  1 while drain();
  next if select(my $ready = $vector, undef, undef, 0.0003) <= 0;
  my $count = sysread STDIN, my $data, 1 << 16;
  next if !defined $count && ($! == EAGAIN || $! == EINTR);
  last if !$count;
  $input .= $data;
  handle($1) while $input =~ s/^([^\n]*)\n//;
}
