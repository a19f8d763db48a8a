terraform import nhi_scope.invoice_sync bao/openbao_approle/invoice-sync/scope
