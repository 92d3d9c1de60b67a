# Makes convnetd-activated.service of convnetd.service.in: what differs when systemd passes the socket.
s|@unit@|convnetd-activated.service|
s|@what@|the daemon on the port that convnetd.socket holds|
s|^Description=.*|&, socket-activated|
# Both want the same port.
s|^After=network.target.*|Requires=convnetd.socket\
After=convnetd.socket convnetd.service|
s|^# The other service wants the same port.*|# The other service wants the same port: it is stopped first.|
s|^Conflicts=.*|Conflicts=convnetd.service|
# Only unix sockets can be made: systemd's notifications are datagrams on one.
s|^# It serves TCP and may be given.*|# The sockets that are passed work without any other; systemd's notifications are unix datagrams.|
s|^RestrictAddressFamilies=.*|RestrictAddressFamilies=AF_UNIX\
# No network at all: a network namespace of its own, with nothing in it.\
PrivateNetwork=yes|
# Its filter holds for sockets of its own only; that of convnetd.socket holds for those it is given.
/^# Local clients only/d
/^# .api-keys-file. in the configuration/d
/^# IPAddressAllow=/d
/^IPAddressAllow=/d
s|^IPAddressDeny=any|# Who may reach the socket says convnetd.socket.\
&|
# The socket is enabled, not the service.
/^\[Install\]/d
/^WantedBy=/d
