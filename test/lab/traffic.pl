#!/usr/bin/perl
# One process that sends and receives in every network namespace of a lab.
#
# Node cannot enter a namespace (setns), one process per namespace costs 45 MB, and a compiler is not on every
# machine; perl-base is on every Debian and Ubuntu. Sockets keep the namespace they were created in, so a single
# select loop serves them all, and thousands of flows can be probed at once.
#
# Protocol, on stdin and stdout, one line each way per request (see traffic.ts for the typed client):
#   <id> <verb> key=value ...      ->      <id> <word> key=value ...
use strict;
use warnings;
use Errno qw(EINPROGRESS EAGAIN ECONNREFUSED EADDRINUSE EINTR);
use Fcntl qw(F_GETFL F_SETFL O_NONBLOCK);
use POSIX qw(WNOHANG uname);
use Socket qw(:all);

my $machine = (uname())[4];
my %numbers = (
  x86_64  => { setns => 308, clock_gettime => 228, prlimit64 => 302 },
  aarch64 => { setns => 268, clock_gettime => 113, prlimit64 => 261 },
);
my $syscalls = $numbers{$machine} or die "traffic.pl: system call numbers of $machine are not known\n";
my ($CLONE_NEWNET, $CLOCK_MONOTONIC, $RLIMIT_NOFILE) = (0x40000000, 1, 7);
my ($IPPROTO_SCTP, $IPPROTO_ICMP6, $IPV6_V6ONLY, $SO_RCVBUFFORCE) = (132, 58, 26, 33);

# A probe expires in an idle loop past its deadline, or, where streams keep the loop busy, after this many looks:
# by then everything that was in flight at the deadline has been read and answered.
my $BUSY_LOOKS = 4;

my (%ns_fd, $current_ns, %listeners, %held, %streams, %on_read, %on_write, %waiting);
my ($rvec, $wvec, $next_handle, $next_token, $input) = ('', '', 1, ($$ << 16) & 0x3fffffff | 1, '');
my %received;    # "ns port" -> { source address -> datagrams of streams }
my %arrivals;    # token of a raw probe -> closure

sub now {
  my $buffer = pack 'q2', 0, 0;
  syscall $syscalls->{clock_gettime}, $CLOCK_MONOTONIC, $buffer;
  my ($seconds, $nanos) = unpack 'q2', $buffer;
  return $seconds * 1000 + $nanos / 1e6;
}

sub enter {
  my ($ns) = @_;
  return if defined $current_ns && $current_ns eq $ns;
  if (!$ns_fd{$ns}) {
    open my $fd, '<', "/run/netns/$ns" or die "no network namespace $ns: $!\n";
    $ns_fd{$ns} = $fd;
  }
  syscall($syscalls->{setns}, fileno $ns_fd{$ns}, $CLONE_NEWNET) == 0 or die "cannot enter $ns: $!\n";
  $current_ns = $ns;
}

sub answer { print STDOUT join(' ', @_), "\n" }

sub family_of { $_[0] =~ /:/ ? AF_INET6 : AF_INET }

sub address_of {
  my ($text, $port) = @_;
  my $family = family_of($text);
  my $ip = inet_pton($family, $text) // die "not an IP address: $text\n";
  return $family == AF_INET ? pack_sockaddr_in($port, $ip) : pack_sockaddr_in6($port, $ip);
}

sub text_of {
  my ($sockaddr) = @_;
  my $family = sockaddr_family($sockaddr);
  my ($port, $ip) = $family == AF_INET ? unpack_sockaddr_in($sockaddr) : unpack_sockaddr_in6($sockaddr);
  return (inet_ntop($family, $ip), $port);
}

sub new_socket {
  my ($ns, $family, $type, $protocol) = @_;
  enter($ns);
  socket my $socket, $family, $type, $protocol or die "socket: $!\n";
  fcntl $socket, F_SETFL, fcntl($socket, F_GETFL, 0) | O_NONBLOCK;
  return $socket;
}

sub watch_read  { my ($s, $do) = @_; $on_read{fileno $s} = $do;  vec($rvec, fileno $s, 1) = 1 }
sub watch_write { my ($s, $do) = @_; $on_write{fileno $s} = $do; vec($wvec, fileno $s, 1) = 1 }
sub unwatch_write { my $n = fileno $_[0]; delete $on_write{$n}; vec($wvec, $n, 1) = 0 }

sub drop_socket {
  my ($socket) = @_;
  my $n = fileno $socket;
  return if !defined $n;
  delete $on_read{$n};
  delete $on_write{$n};
  vec($rvec, $n, 1) = 0;
  vec($wvec, $n, 1) = 0;
  close $socket;
}

# A probe waits for something until its deadline; `again` runs every `every` ms until then.
sub wait_for {
  my (%probe) = @_;
  my $start = now();
  $probe{deadline} = $start + $probe{wait};
  $probe{next} = $start + $probe{every} if $probe{again};
  $waiting{ $probe{id} } = \%probe;
}

sub finish {
  my ($id, @words) = @_;
  my $probe = delete $waiting{$id} or return;
  drop_socket($_) for @{ $probe->{sockets} // [] };
  delete $arrivals{ $probe->{token} } if $probe->{token};
  answer($id, @words);
}

sub open_client {
  my ($r, $type, $protocol) = @_;
  my $socket = new_socket($r->{ns}, family_of($r->{to}), $type, $protocol);
  if (defined $r->{from}) {
    bind $socket, address_of($r->{from}, $r->{sport} // 0) or die "bind $r->{from}: $!\n";
  }
  return $socket;
}

# --- servers -----------------------------------------------------------------------------------------------------

# A TCP server introduces itself (namespace, and the client address it sees), then echoes.
sub serve_tcp {
  my ($ns, $server) = @_;
  while (my $peer = accept my $client, $server) {
    fcntl $client, F_SETFL, fcntl($client, F_GETFL, 0) | O_NONBLOCK;
    my ($seen) = text_of($peer);
    syswrite $client, "$ns $seen\n";
    $listeners{$ns}{clients}{$client} = $client;
    watch_read($client, sub {
      my $count = sysread $client, my $data, 65536;
      return if !defined $count && ($! == EAGAIN || $! == EINTR);
      if ($count) { syswrite $client, $data; return }
      delete $listeners{$ns}{clients}{$client};
      drop_socket($client);
    });
  }
}

# A UDP server answers like the TCP one; datagrams of streams (they begin with "s") are only counted.
sub serve_udp {
  my ($ns, $port, $server) = @_;
  while (defined(my $peer = recv $server, my $data, 2048, 0)) {
    my ($seen) = text_of($peer);
    if (substr($data, 0, 1) eq 's') { $received{"$ns $port"}{$seen}++; next }
    send $server, "$ns $seen $data", 0, $peer;
  }
}

# Protocols without sockets in this kernel (SCTP is a module many lack) are judged by arrival at a raw socket.
sub serve_raw {
  my ($ns, $family, $protocol, $server) = @_;
  while (defined(my $peer = recv $server, my $packet, 2048, 0)) {
    $packet = substr $packet, (ord($packet) & 15) * 4 if $family == AF_INET;
    my ($port, $token) = (0, 0);
    if ($protocol == $IPPROTO_SCTP) {
      next if length $packet < 32;
      ($port, $token) = unpack 'x2 n x12 N', $packet;
    } else {
      next if length $packet < 4;
      $token = unpack 'N', $packet;
    }
    next if !$listeners{$ns}{raw_ports}{"$protocol $port"};
    my ($seen) = text_of($peer);
    $arrivals{$token}->($ns, $seen) if $arrivals{$token};
  }
}

sub protocol_number { $_[0] eq 'sctp' ? $IPPROTO_SCTP : $_[0] =~ /^ip:(\d+)$/ ? $1 : die "unknown protocol $_[0]\n" }

sub listen_at {
  my ($r) = @_;
  my ($ns, $proto, $port) = @$r{qw(ns proto port)};
  my @addresses = $r->{addr} eq '*' ? ('0.0.0.0', '::') : ($r->{addr});
  for my $address (@addresses) {
    my $family = family_of($address);
    if ($proto ne 'tcp' && $proto ne 'udp') {
      my $number = protocol_number($proto);
      $listeners{$ns}{raw_ports}{"$number $port"} = 1;
      next if $listeners{$ns}{sockets}{"raw $number $family"};
      my $server = new_socket($ns, $family, SOCK_RAW, $number);
      watch_read($server, sub { serve_raw($ns, $family, $number, $server) });
      $listeners{$ns}{sockets}{"raw $number $family"} = $server;
      next;
    }
    my $key = "$proto $address $port";
    my $any = join ' ', $proto, $family == AF_INET ? '0.0.0.0' : '::', $port;
    next if $listeners{$ns}{sockets}{$key} || $listeners{$ns}{sockets}{$any};
    my $server = new_socket($ns, $family, $proto eq 'tcp' ? SOCK_STREAM : SOCK_DGRAM, 0);
    setsockopt $server, SOL_SOCKET, SO_REUSEADDR, 1;
    setsockopt $server, SOL_SOCKET, SO_REUSEPORT, 1;    # all addresses, after one address was taken
    setsockopt $server, IPPROTO_IPV6, $IPV6_V6ONLY, 1 if $family == AF_INET6;
    setsockopt $server, SOL_SOCKET, $SO_RCVBUFFORCE, 8 << 20 if $proto eq 'udp';
    bind $server, address_of($address, $port) or die "bind $address port $port in $ns: $!\n";
    if ($proto eq 'tcp') {
      listen $server, 4096 or die "listen: $!\n";
      watch_read($server, sub { serve_tcp($ns, $server) });
    } else {
      watch_read($server, sub { serve_udp($ns, $port, $server) });
    }
    $listeners{$ns}{sockets}{$key} = $server;
  }
}

sub unlisten_at {
  my ($r) = @_;
  my $sockets = $listeners{ $r->{ns} }{sockets};
  for my $address ($r->{addr} eq '*' ? ('0.0.0.0', '::') : $r->{addr}) {
    my $server = delete $sockets->{"$r->{proto} $address $r->{port}"};
    drop_socket($server) if $server;
  }
  if ($r->{proto} ne 'tcp' && $r->{proto} ne 'udp') {
    delete $listeners{ $r->{ns} }{raw_ports}{ protocol_number($r->{proto}) . " $r->{port}" };
  }
}

# --- probes ------------------------------------------------------------------------------------------------------

my %errno_word = (ECONNREFUSED, 'refused');

sub probe_tcp {
  my ($id, $r, $keep) = @_;
  my $sockets = [];
  my $attempt = sub {
    my $socket = open_client($r, SOCK_STREAM, 0);
    setsockopt $socket, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0);
    setsockopt $socket, IPPROTO_TCP, TCP_NODELAY, 1;
    push @$sockets, $socket;
    if (!connect($socket, address_of($r->{to}, $r->{port})) && $! != EINPROGRESS) {
      return finish($id, $errno_word{ $! + 0 } // 'unreachable', 'error=' . ($! + 0));
    }
    watch_write($socket, sub {
      unwatch_write($socket);
      my $error = unpack 'i', getsockopt($socket, SOL_SOCKET, SO_ERROR);
      return finish($id, $errno_word{$error} // 'unreachable', "error=$error") if $error;
      my $probe = $waiting{$id} or return;
      # Connected: a server that is not ours may say nothing, and that is still an open port.
      $probe->{silence} = ['open'];
      delete $probe->{again};
      watch_read($socket, sub {
        my $count = sysread $socket, my $banner, 256;
        return if !defined $count && $! == EAGAIN;
        return finish($id, 'open', 'closed=1') if !$count;
        my ($server, $seen) = split ' ', $banner;
        return finish($id, 'open', "server=$server", "seen=$seen") if !$keep;
        @{ $waiting{$id}{sockets} } = grep { $_ != $socket } @$sockets;
        delete $on_read{fileno $socket};
        vec($rvec, fileno $socket, 1) = 0;
        my $handle = $next_handle++;
        $held{$handle} = { socket => $socket, ns => $r->{ns}, sequence => 0 };
        finish($id, 'open', "server=$server", "seen=$seen", "conn=$handle");
      });
    });
  };
  # A lost SYN would be repeated by TCP after a second only: a second attempt half way makes one loss harmless.
  wait_for(id => $id, sockets => $sockets, wait => $r->{wait}, every => $r->{wait} / 2 + 1,
    again => $keep ? undef : $attempt, silence => ['timeout']);
  $attempt->();
}

sub probe_udp {
  my ($id, $r, $keep) = @_;
  my $socket = open_client($r, SOCK_DGRAM, 0);
  connect $socket, address_of($r->{to}, $r->{port}) or return answer($id, 'unreachable', 'error=' . ($! + 0));
  my $sockets = [$socket];
  my $ask = sub { send $socket, "q$id", 0 };
  wait_for(id => $id, sockets => $sockets, wait => $r->{wait}, every => $r->{wait} / 3 + 1,
    again => $ask, silence => ['timeout']);
  watch_read($socket, sub {
    my $from = recv $socket, my $data, 2048, 0;
    if (!defined $from) {
      return if $! == EAGAIN;
      return finish($id, $errno_word{ $! + 0 } // 'unreachable', 'error=' . ($! + 0));
    }
    my ($server, $seen) = split ' ', $data;
    return finish($id, 'answered', "server=$server", "seen=$seen") if !$keep;
    @{ $waiting{$id}{sockets} } = ();
    delete $on_read{fileno $socket};
    vec($rvec, fileno $socket, 1) = 0;
    my $handle = $next_handle++;
    $held{$handle} = { socket => $socket, ns => $r->{ns}, sequence => 0 };
    finish($id, 'answered', "server=$server", "seen=$seen", "conn=$handle");
  });
  $ask->();
}

my @crc32c = map { my $c = $_; $c = $c & 1 ? ($c >> 1) ^ 0x82f63b78 : $c >> 1 for 1 .. 8; $c } 0 .. 255;

sub sctp_init {
  my ($source_port, $port, $token) = @_;
  my $packet = pack 'n n N N  C C n N N n n N', $source_port, $port, 0, 0, 1, 0, 20, $token, 65536, 1, 1, 1;
  my $crc = 0xffffffff;
  $crc = $crc32c[ ($crc ^ $_) & 255 ] ^ ($crc >> 8) for unpack 'C*', $packet;
  substr $packet, 8, 4, pack 'V', $crc ^ 0xffffffff;
  return $packet;
}

sub probe_raw {
  my ($id, $r) = @_;
  my $number = protocol_number($r->{proto});
  my $socket = open_client($r, SOCK_RAW, $number);
  my $token = $next_token++;
  my $packet = $number == $IPPROTO_SCTP ? sctp_init(1024 + $token % 60000, $r->{port}, $token) : pack 'N', $token;
  my $ask = sub { send $socket, $packet, 0, address_of($r->{to}, 0) };
  wait_for(id => $id, token => $token, sockets => [$socket], wait => $r->{wait}, every => $r->{wait} / 3 + 1,
    again => $ask, silence => ['timeout']);
  $arrivals{$token} = sub { my ($server, $seen) = @_; finish($id, 'arrived', "server=$server", "seen=$seen") };
  $ask->();
}

sub icmp_checksum {
  my ($data) = @_;
  my $sum = 0;
  $sum += $_ for unpack 'n*', $data;
  $sum = ($sum & 0xffff) + ($sum >> 16) while $sum >> 16;
  return ~$sum & 0xffff;
}

sub probe_icmp {
  my ($id, $r) = @_;
  my $six = family_of($r->{to}) == AF_INET6;
  my $socket = open_client($r, SOCK_RAW, $six ? $IPPROTO_ICMP6 : IPPROTO_ICMP);
  my $token = $next_token++ & 0xffff;
  my $echo = pack 'C C n n n', $six ? 128 : 8, 0, 0, $token, 1;
  substr $echo, 2, 2, pack 'n', icmp_checksum($echo) if !$six;
  my $ask = sub { send $socket, $echo, 0, address_of($r->{to}, 0) };
  wait_for(id => $id, sockets => [$socket], wait => $r->{wait}, every => $r->{wait} / 3 + 1,
    again => $ask, silence => ['timeout']);
  watch_read($socket, sub {
    while (defined(my $from = recv $socket, my $packet, 2048, 0)) {
      $packet = substr $packet, (ord($packet) & 15) * 4 if !$six;
      my ($type, $answered) = unpack 'C x3 n', $packet;
      return finish($id, 'answered') if $type == ($six ? 129 : 0) && $answered == $token;
    }
  });
  $ask->();
}

# --- connections that stay -----------------------------------------------------------------------------------------

sub exchange {
  my ($id, $r) = @_;
  my $conn = $held{ $r->{conn} } or die "no connection $r->{conn}\n";
  my $socket = $conn->{socket};
  my $word = 'x' . ++$conn->{sequence} . ';';
  my $done = sub {
    delete $on_read{fileno $socket};
    vec($rvec, fileno $socket, 1) = 0;
    finish($id, @_);
  };
  my $heard = '';
  wait_for(id => $id, wait => $r->{wait}, silence => ['timeout'], quiet => sub { $done->('timeout') });
  watch_read($socket, sub {
    my $count = sysread $socket, my $data, 65536;
    return if !defined $count && $! == EAGAIN;
    return $done->('closed') if !$count;
    $heard .= $data;
    $done->('answered') if index($heard, $word) >= 0;
  });
  syswrite $socket, $word or $done->('closed');
}

# --- continuous senders --------------------------------------------------------------------------------------------

# A child per stream: it must keep sending while the parent is busy. It ends when its stdin pipe closes.
sub start_stream {
  my ($r) = @_;
  pipe my $stop_read, my $stop_write or die "pipe: $!\n";
  pipe my $count_read, my $count_write or die "pipe: $!\n";
  my @sockets = map { open_client($r, SOCK_DGRAM, 0) } 1 .. ($r->{sockets} // 1);
  my $target = address_of($r->{to}, $r->{port});
  my $pid = fork // die "fork: $!\n";
  if (!$pid) {
    my %keep = map { fileno($_) => 1 } @sockets, $stop_read, $count_write;
    opendir my $open, '/proc/self/fd' or die "/proc/self/fd: $!\n";
    POSIX::close($_) for grep { /^\d+$/ && $_ != 2 && !$keep{$_} } readdir $open;
    $SIG{INT} = $SIG{TERM} = $SIG{HUP} = 'IGNORE';
    my ($sent, $rate, $start, $vector) = (0, $r->{rate}, now(), '');
    vec($vector, fileno $stop_read, 1) = 1;
    while (1) {
      my $due = $rate ? int((now() - $start) * $rate / 1000) + 1 - $sent : 64;
      $due = 256 if $due > 256;
      for (1 .. $due) { $sent++ if defined send $sockets[ $sent % @sockets ], "s$sent", 0, $target }
      last if select(my $stopped = $vector, undef, undef, $rate ? 0.5 / $rate : 0) > 0;
    }
    syswrite $count_write, "$sent\n";
    POSIX::_exit(0);
  }
  close $_ for $stop_read, $count_write, @sockets;
  my $handle = $next_handle++;
  $streams{$handle} = { pid => $pid, stop => $stop_write, count => $count_read };
  return $handle;
}

sub stop_stream {
  my ($handle) = @_;
  my $stream = delete $streams{$handle} or die "no stream $handle\n";
  close $stream->{stop};
  my $sent = readline $stream->{count};
  waitpid $stream->{pid}, 0;
  chomp $sent if defined $sent;
  return $sent // 0;
}

# --- requests ------------------------------------------------------------------------------------------------------

# Lets a namespace go: an open descriptor or socket would keep it alive after its name is deleted.
sub forget {
  my ($ns) = @_;
  my $of = delete $listeners{$ns};
  drop_socket($_) for values %{ $of->{sockets} // {} }, values %{ $of->{clients} // {} };
  for my $handle (grep { $held{$_}{ns} eq $ns } keys %held) { drop_socket($held{$handle}{socket}); delete $held{$handle} }
  enter_own() if defined $current_ns && $current_ns eq $ns;
  delete $ns_fd{$ns};
  delete $received{$_} for grep { /^\Q$ns\E / } keys %received;
}

open my $own_ns, '<', '/proc/self/ns/net' or die "own network namespace: $!\n";

sub enter_own {
  syscall($syscalls->{setns}, fileno $own_ns, $CLONE_NEWNET) == 0 or die "cannot leave: $!\n";
  undef $current_ns;
}

my %verbs = (
  listen   => sub { my ($id, $r) = @_; listen_at($r); answer($id, 'ok') },
  unlisten => sub { my ($id, $r) = @_; unlisten_at($r); answer($id, 'ok') },
  tcp      => sub { probe_tcp(@_) },
  udp      => sub { probe_udp(@_) },
  raw      => sub { probe_raw(@_) },
  icmp     => sub { probe_icmp(@_) },
  hold     => sub { my ($id, $r) = @_; $r->{proto} eq 'tcp' ? probe_tcp($id, $r, 1) : probe_udp($id, $r, 1) },
  exchange => sub { exchange(@_) },
  release  => sub {
    my ($id, $r) = @_;
    my $conn = delete $held{ $r->{conn} };
    drop_socket($conn->{socket}) if $conn;
    answer($id, 'ok');
  },
  stream   => sub { my ($id, $r) = @_; answer($id, 'ok', 'stream=' . start_stream($r)) },
  halt     => sub { my ($id, $r) = @_; answer($id, 'ok', 'sent=' . stop_stream($r->{stream})) },
  received => sub {
    my ($id, $r) = @_;
    my $of = $received{"$r->{ns} $r->{port}"} // {};
    answer($id, 'ok', map { "$_=$of->{$_}" } sort keys %$of);
  },
  write    => sub {
    my ($id, $r) = @_;
    enter($r->{ns});
    open my $file, '>', $r->{path} or die "$r->{path}: $!\n";
    print $file $r->{value};
    close $file or die "$r->{path}: $!\n";
    answer($id, 'ok');
  },
  forget   => sub { my ($id, $r) = @_; forget($r->{ns}); answer($id, 'ok') },
);

sub handle {
  my ($line) = @_;
  my ($id, $verb, @pairs) = split ' ', $line;
  my %request = map { /^([^=]+)=(.*)$/ ? ($1, $2) : () } @pairs;
  my $do = $verbs{$verb // ''} or return answer($id, 'error', "unknown verb $verb");
  eval { $do->($id, \%request); 1 } or do {
    my $message = $@;
    chomp $message;
    delete $waiting{$id};
    answer($id, 'error', $message);
  };
}

sub read_requests {
  my $count = sysread STDIN, my $data, 1 << 20;
  return if !defined $count && ($! == EAGAIN || $! == EINTR);
  exit 0 if !$count;    # the lab is gone: closing the pipes also ends the streams
  $input .= $data;
  handle($1) while $input =~ s/^([^\n]*)\n//;
}

# Everything that is ready is handled before anything may expire, so that a slow machine delays a verdict
# but never turns an allowed flow into a denied one.
sub expire {
  my ($idle) = @_;
  my $now = now();
  for my $id (keys %waiting) {
    my $probe = $waiting{$id} or next;
    if ($now >= $probe->{deadline} && ($idle || ++$probe->{looks} >= $BUSY_LOOKS)) {
      $probe->{quiet} ? $probe->{quiet}->() : finish($id, @{ $probe->{silence} });
    } elsif ($probe->{again} && $now >= $probe->{next}) {
      $probe->{next} = $now + $probe->{every};
      eval { $probe->{again}->(); 1 } or finish($id, 'error', $@ =~ s/\s+$//r);
    }
  }
}

sub next_timeout {
  my $soonest;
  for my $probe (values %waiting) {
    my $at = $probe->{again} && $probe->{next} < $probe->{deadline} ? $probe->{next} : $probe->{deadline};
    $soonest = $at if !defined $soonest || $at < $soonest;
  }
  return undef if !defined $soonest;
  my $left = ($soonest - now()) / 1000;
  return $left > 0 ? $left : 0;
}

my $hard = pack 'Q2', 1 << 17, 1 << 17;
syscall $syscalls->{prlimit64}, 0, $RLIMIT_NOFILE, $hard, 0;
$SIG{PIPE} = 'IGNORE';
$SIG{INT} = 'IGNORE';     # Ctrl-C reaches the whole process group: the lab decides when this process ends
$| = 1;
watch_read(\*STDIN, \&read_requests);
my $last_expiry = now();
while (1) {
  my $ready = select(my $r = $rvec, my $w = $wvec, undef, next_timeout());
  if ($ready > 0) {
    my @readable = grep { vec $r, $_, 1 } keys %on_read;
    my @writable = grep { vec $w, $_, 1 } keys %on_write;
    for (@writable) { $on_write{$_}->() if $on_write{$_} }
    for (@readable) { $on_read{$_}->()  if $on_read{$_} }
  }
  if ($ready <= 0 || now() - $last_expiry > 20) {
    expire($ready <= 0);
    $last_expiry = now();
  }
}
