#!/usr/bin/env bash
# Two virtual hosts that cannot reach each other as they should: the start ends in the stated time, and one message
# names rank, host, address and port. Budget: 60 s. Needs root, namespaces and nftables.
# shellcheck source=tests/cluster/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need_root_and_namespaces
need_programs ip nsenter mpirun nft

make_data "$work/data"
hosts_up 2

# MPI's own connections use ports 20000 to 20099 here, so that they can be told from ours, which the kernel chooses
# above 32767, and from the rendezvous's, another one each time.
master_port=20100
on_hosts() {  # on_hosts OPTION...: a training on node1 and node2; output in $work/log
  status_of "$work/log" timeout 120 "$hosts" exec head env ISNET_BINARY="$ISNET_BINARY" \
    OMPI_MCA_plm_rsh_agent="$hosts agent" OMPI_MCA_btl_tcp_port_min_v4=20000 OMPI_MCA_btl_tcp_port_range_v4=100 \
    "$root/launch/run.sh" --host node1:1,node2:1 --interface eth0 -- train "${training[@]}" --data "$work/data" \
    --max-epochs 1 --output "$work/run" --overwrite --startup-timeout 6 --master-port "$master_port" "$@"
}
block() {  # block HOST RULE: what comes from the other host
  "$hosts" exec "$1" nft "add table inet closed; delete table inet closed; add table inet closed;
    add chain inet closed in { type filter hook input priority 0; };
    add rule inet closed in iifname eth0 ip saddr { 10.77.0.11, 10.77.0.12 } $2"
}
open_again() { "$hosts" exec "$1" nft "delete table inet closed"; }
expect_one_error() {  # expect_one_error WHAT TEXT
  expect_equal "status: $1" 1 "$status"
  expect_text "$1" "$2" "$work/log"
  expect_equal "lines: $1 ($(grep "error: " "$work/log" | cut -c1-200))" 1 "$(grep -c "error: " "$work/log")"
}

for rule in drop reject; do
  step "the port of the rendezvous is closed ($rule)"
  master_port=$((master_port + 1))
  block node1 "tcp dport $master_port $rule"
  began=$SECONDS
  on_hosts
  expect_one_error "who cannot reach whom" \
    "rank 1 on node2 cannot reach rank 0 on node1 at 10.77.0.11 port $master_port over eth0"
  ((SECONDS - began < 40)) || fail "it took $((SECONDS - began)) s"
done

step "the port of the heartbeat is closed"
master_port=$((master_port + 1))
block node1 "tcp dport != { $master_port, 20000-20099 } ct state new drop"
on_hosts
expect_one_error "who cannot reach whom" "rank 1 on node2 cannot reach rank 0 on node1 at 10.77.0.11 port"
expect_text "what for" "for the heartbeat (a firewall between the hosts?)" "$work/log"

step "the ports of the exchanges are closed"
master_port=$((master_port + 1))
block node1 "tcp dport != { $master_port, 20000-20099 } ct state new drop"
block node2 "tcp dport != 20000-20099 ct state new drop"
began=$SECONDS
on_hosts --heartbeat-interval 0 --backend gloo --startup-timeout 10
expect_equal "status" 1 "$status"
expect_text "who cannot reach whom" "cannot connect to rank" "$work/log"
# Gloo by itself waits for 50 s.
((SECONDS - began < 45)) || fail "it took $((SECONDS - began)) s"
open_again node2

step "MPI itself is cut off"
master_port=$((master_port + 1))
block node1 "drop"
on_hosts
expect_equal "status" 1 "$status"
expect_text "what to do" "MPI has not connected the ranks within 6 s; a firewall between the hosts" "$work/log"
open_again node1

step "and with everything open again it trains"
master_port=$((master_port + 1))
on_hosts
((status == 0)) || { cat "$work/log" >&2; fail "status $status"; }
echo "passed in $SECONDS s"
