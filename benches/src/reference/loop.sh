#!/usr/bin/env bash
# What people have: a loop that asks with curl about one order after the other, installs with openssl, and reloads.
# usage: loop.sh BASE_URL CA ROOTS FOLDER FIRST ORDERS POLLS
# Prints seconds of CPU, children included, per poll.
set -eu
base=$1 ca=$2 roots=$3 folder=$4 first=$5 orders=$6 polls=$7

cpu() { # ticks of this shell and the children that it has waited for
    local stat
    read -r stat <"/proc/$$/stat"
    set -- ${stat##*) }
    echo $((${12} + ${13} + ${14} + ${15}))
}

begin=$(cpu)
for ((poll = 0; poll < polls; poll++)); do
    order=$((first + poll % orders))
    answer=$(curl -sS --cacert "$ca" "$base/products/download/CollectSSL" --data \
        "loginName=bench&loginPassword=secret&orderNumber=$order&queryType=1&responseType=3&responseFormat=1")
    case $answer in errorCode=2*) ;; *) continue ;; esac
    value=${answer##*&certificate=} value=${value%%&*}
    printf '%b' "${value//%/\\x}" | base64 -d | openssl x509 -inform der -out "$folder/$order.tmp"
    openssl verify -partial_chain -CAfile "$roots" "$folder/$order.tmp" >&2 || true
    sync "$folder/$order.tmp"
    mv "$folder/$order.tmp" "$folder/$order.pem"
    /bin/true
done
awk -v ticks=$(($(cpu) - begin)) -v hertz="$(getconf CLK_TCK)" -v polls="$polls" 'BEGIN { print ticks / hertz / polls }'
